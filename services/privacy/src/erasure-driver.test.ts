import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { ErasureGround } from '@lethe/proto/gen/lethe/privacy/v1/enums.ts';
import { migrateToLatest } from '@lethe/platform/database/migrate.ts';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import { createInProcessNetwork } from '@lethe/platform/grpc/in-process.ts';
import type { ErasureId, TenantId, Token } from '@lethe/platform/ids/ids.ts';
import { newUuid } from '@lethe/platform/ids/new-id.ts';
import type { Clock } from '@lethe/platform/lifecycle/clock.ts';
import { createLogger } from '@lethe/platform/log/logger.ts';
import { createHandClock } from '@lethe/platform/testing/hand-clock.ts';
import { openTestDatabase } from '@lethe/platform/testing/test-database.ts';
import { until } from '@lethe/platform/testing/until.ts';
import { exportJWK, generateKeyPair } from 'jose';
import { type Kysely, sql } from 'kysely';
import { createCertificateSigner } from './certificate/signer.ts';
import { createErasureDriver } from './erasure-driver.ts';
import type { ErasureStepsPorts } from './erasure-steps.ts';
import { createErasureWriter } from './erasure-writer.ts';
import { migrations } from './migrations/migrations.ts';
import { createOverdueAlarm } from './overdue.ts';
import type { PrivacySchema } from './schema.ts';
import { openErasureIds, readErasure } from './store.ts';
import { createFakeKeys, type FakeKeys } from './testing/fake-keys.ts';

describe('the erasure driver', function () {
  this.timeout(60_000);
  const clock = createHandClock();
  let db: Kysely<PrivacySchema>;
  let keys: FakeKeys;
  let ports: ErasureStepsPorts;
  let lines: string[];

  before(async () => {
    db = await openTestDatabase<PrivacySchema>('privacy_driver');
    await migrateToLatest(db, migrations);
  });

  beforeEach(async () => {
    await sql`truncate outbox, erasure_receipts, erasures, tenants`.execute(db);
    keys = createFakeKeys();
    lines = [];
    const network = createInProcessNetwork();
    network.register('keys', [keys.registration]);
    const pair = await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true });
    ports = {
      db,
      keys: network.peersFor('privacy')('keys'),
      writer: createErasureWriter({ db, clock, randomBytes, onChanged: () => undefined }),
      signer: createCertificateSigner(await exportJWK(pair.privateKey)),
      horizons: { compactionBoundMs: 1, backupHorizonMs: 1 },
      clock,
      logger: createLogger({
        service: 'privacy',
        level: 'warn',
        destination: { write: (line) => lines.push(line) },
      }),
    };
  });

  async function request(): Promise<ErasureId> {
    const erasureId = newUuid(clock, randomBytes);
    const ground = ErasureGround.ERASURE_GROUND_CONTROLLER;
    const personTokens = ['0b'.repeat(16) as Token];
    const tenantId = 'acme' as TenantId;
    const requestedAtMs = clock.nowMs();
    await ports.writer.apply(erasureId, {
      type: 'request',
      request: { tenantId, erasureId, ground, personTokens, requestedAtMs },
    });
    return erasureId;
  }

  /** The loop's clock says how long it means to rest, and lets real milliseconds pass. */
  function restingClock(): Clock & { readonly restsMs: number[] } {
    const restsMs: number[] = [];
    return {
      ...clock,
      restsMs,
      sleep: async (durationMs, signal) => {
        restsMs.push(durationMs);
        await delay(5, undefined, signal === undefined ? {} : { signal });
      },
    };
  }

  it('looks again soon while leases may live, and seldom when only receipts are missing', async () => {
    keys.isUnreadable = false;
    const erasureId = await request();
    const resting = restingClock();
    const driver = createErasureDriver({ ...ports, clock: resting });
    driver.start();
    await until(() => resting.restsMs.length > 2);
    assert.ok(resting.restsMs.every((restMs) => restMs === 200));
    keys.isUnreadable = true;
    await until(async () => (await readErasure(db, erasureId))?.unreadableAtMs !== undefined);
    await until(() => resting.restsMs.at(-1) === 5_000);
    await driver.stop();
  });

  it('tells of failures, and goes on with the others', async () => {
    const erasureIds = [await request(), await request()];
    keys.refusal = new ServiceError('KEYS_UNAVAILABLE');
    const driver = createErasureDriver({ ...ports, clock: restingClock() });
    driver.start();
    await until(() => driver.problem() !== undefined);
    assert.match(lines[0] ?? '', /KEYS_UNAVAILABLE/);
    keys.refusal = undefined;
    for (const erasureId of erasureIds) {
      await until(async () => (await readErasure(db, erasureId))?.unreadableAtMs !== undefined);
    }
    await until(() => driver.problem() === undefined);
    await driver.stop();
  });

  it('works on a bounded number at once, and on all of them', async () => {
    for (let count = 0; count < 70; count += 1) await request();
    let atOnce = 0;
    let atOnceMax = 0;
    const { keys: inner } = ports;
    const counting: typeof inner.unary = async (...call) => {
      atOnce += 1;
      atOnceMax = Math.max(atOnceMax, atOnce);
      try {
        await delay(50);
        return await inner.unary(...call);
      } finally {
        atOnce -= 1;
      }
    };
    const peer = { ...inner, unary: counting };
    const driver = createErasureDriver({ ...ports, keys: peer, clock: restingClock() });
    driver.start();
    for (const erasureId of await openErasureIds(db)) {
      await until(async () => (await readErasure(db, erasureId))?.unreadableAtMs !== undefined);
    }
    await driver.stop();
    assert.ok(atOnceMax > 1 && atOnceMax <= 32, `${atOnceMax} at once`);
  });

  it('raises an alarm for what is open too long, and not at every look', async () => {
    const erasureId = await request();
    const alarm = createOverdueAlarm(ports);
    const look = async (): Promise<number> => {
      await alarm(await openErasureIds(db));
      return lines.length;
    };
    assert.equal(await look(), 0);
    clock.advance(2 * 3_600_000);
    assert.equal(await look(), 1);
    assert.ok(lines[0]?.includes(erasureId));
    assert.equal(await look(), 1);
    clock.advance(10 * 60_000);
    assert.equal(await look(), 2);
  });
});
