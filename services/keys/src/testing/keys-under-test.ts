import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Kysely } from 'kysely';
import { createInProcessNetwork } from '@lethe/platform/grpc/in-process.ts';
import type { Peers } from '@lethe/platform/grpc/handler.ts';
import { isTenantId, type TenantId, type Token, tokenFromBytes } from '@lethe/platform/ids/ids.ts';
import { systemClock } from '@lethe/platform/lifecycle/clock.ts';
import type { Service } from '@lethe/platform/lifecycle/service.ts';
import { createLogger } from '@lethe/platform/log/logger.ts';
import { openTestDatabase } from '@lethe/platform/testing/test-database.ts';
import type { ServiceName } from '@lethe/proto/access.ts';
import { createKeys } from '../app.ts';
import type { KeysConfig } from '../config.ts';
import { openKeyringKms } from '../kms/keyring-kms.ts';
import type { Kms } from '../kms/port.ts';
import type { KeysSchema } from '../store/schema.ts';
import { createTestClock, type TestClock } from './test-clock.ts';

/** What outlives a process of `keys`: its store, its KMS and the time. */
export interface KeysWorld {
  readonly db: Kysely<KeysSchema>;
  readonly clock: TestClock;
  readonly keyringPath: string;
  remove(): Promise<void>;
}

/** 15 November 2026, noon UTC. */
export const testStartMs = Date.UTC(2026, 10, 15, 12);

export async function createKeysWorld(name: string): Promise<KeysWorld> {
  const folder = await mkdtemp(join(tmpdir(), 'lethe-keys-'));
  return {
    db: await openTestDatabase<KeysSchema>(name),
    clock: createTestClock(testStartMs, (durationMs, signal) =>
      systemClock.sleep(durationMs, signal),
    ),
    keyringPath: join(folder, 'keyring.json'),
    remove: () => rm(folder, { recursive: true }),
  };
}

/** One process of `keys`, started, and what other services would call it with. */
export interface RunningKeys {
  readonly service: Service;
  readonly kms: Kms;
  /** Calls as this service would make them. */
  peersOf(service: ServiceName): Peers;
  stop(): Promise<void>;
}

export const testConfig: KeysConfig = {
  leaseTtlMs: 30_000,
  monthGraceMs: 72 * 3_600_000,
  holdersEndWithProcess: true,
};

export async function startKeys(
  world: KeysWorld,
  config: Partial<KeysConfig> = {},
): Promise<RunningKeys> {
  const kms = await openKeyringKms({ path: world.keyringPath, randomBytes });
  const logger = createLogger({ service: 'keys', level: 'silent' });
  const service = createKeys(
    { ...testConfig, ...config },
    { db: world.db, kms, clock: world.clock, randomBytes, logger },
  );
  const network = createInProcessNetwork();
  network.register('keys', service.internalApi);
  await service.start();
  return {
    service,
    kms,
    peersOf: (name) => network.peersFor(name),
    stop: () => service.stop(),
  };
}

export function tenantNamed(name: string): TenantId {
  if (!isTenantId(name)) throw new RangeError(`${name} is no tenant id`);
  return name;
}

/** A token that nobody else has. */
export function someToken(): Token {
  return tokenFromBytes(randomBytes(16));
}
