import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Kysely } from 'kysely';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { EventLog } from '@lethe/platform/event-log/port.ts';
import { createInProcessNetwork } from '@lethe/platform/grpc/in-process.ts';
import type { Peers } from '@lethe/platform/grpc/handler.ts';
import { isTenantId, type TenantId, type Token, tokenFromBytes } from '@lethe/platform/ids/ids.ts';
import { systemClock } from '@lethe/platform/lifecycle/clock.ts';
import type { Service } from '@lethe/platform/lifecycle/service.ts';
import { createLogger } from '@lethe/platform/log/logger.ts';
import { openTestLog } from '@lethe/platform/testing/log-records.ts';
import { createHandClock, type HandClock } from '@lethe/platform/testing/hand-clock.ts';
import { openTestDatabase } from '@lethe/platform/testing/test-database.ts';
import type { ServiceName } from '@lethe/proto/access.ts';
import { KeyServiceService } from '@lethe/proto/gen/lethe/keys/v1/service.ts';
import { createKeys } from '../app.ts';
import type { KeysConfig } from '../config.ts';
import { openKeyringKms } from '../kms/keyring-kms.ts';
import type { Kms } from '../kms/port.ts';
import type { KeysSchema } from '../store/schema.ts';

/** What outlives a process of `keys`: its store, its KMS and the time. */
export interface KeysWorld {
  readonly db: Kysely<KeysSchema>;
  readonly eventLog: EventLog;
  readonly clock: HandClock;
  readonly keyringPath: string;
  remove(): Promise<void>;
}

/** 15 November 2026, noon UTC. */
export const testStartMs = Date.UTC(2026, 10, 15, 12);

export async function createKeysWorld(name: string): Promise<KeysWorld> {
  const folder = await mkdtemp(join(tmpdir(), 'lethe-keys-'));
  const testLog = openTestLog();
  return {
    eventLog: testLog.log,
    db: await openTestDatabase<KeysSchema>(name),
    clock: createHandClock(testStartMs, (durationMs, signal) =>
      systemClock.sleep(durationMs, signal),
    ),
    keyringPath: join(folder, 'keyring.json'),
    remove: async () => {
      await testLog.destroy();
      await rm(folder, { recursive: true });
    },
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
  tenantKeyTtlMs: 60_000,
};

export async function startKeys(
  world: KeysWorld,
  config: Partial<KeysConfig> = {},
  options: { readonly waitsForLog?: boolean; readonly kms?: Kms } = {},
): Promise<RunningKeys> {
  const kms = options.kms ?? (await openKeyringKms({ path: world.keyringPath, randomBytes }));
  const logger = createLogger({ service: 'keys', level: 'silent' });
  const network = createInProcessNetwork();
  const service = createKeys(
    { ...testConfig, ...config },
    { ...world, kms, peers: network.peersFor('keys'), randomBytes, logger },
  );
  network.register('keys', service.internalApi);
  await service.start();
  if (options.waitsForLog ?? true) await waitUntilLeasing(network.peersFor('privacy'));
  return {
    service,
    kms,
    peersOf: (name) => network.peersFor(name),
    stop: () => service.stop(),
  };
}

/** Until privacy.v1 has been read to its end. */
async function waitUntilLeasing(peers: Peers): Promise<void> {
  const request = { tenantId: 'nobody', holderId: 'waiting' };
  for (;;) {
    try {
      await peers('keys').unary(KeyServiceService.leaseTokenKey, request);
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error;
      if (error.reason === 'TENANT_UNKNOWN') return;
      if (error.reason !== 'KEYS_CATCHING_UP') throw error;
    }
    await systemClock.sleep(5);
  }
}

export function tenantNamed(name: string): TenantId {
  if (!isTenantId(name)) throw new RangeError(`${name} is no tenant id`);
  return name;
}

/** A token that nobody else has. */
export function someToken(): Token {
  return tokenFromBytes(randomBytes(16));
}
