import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import type { ServiceName } from '@lethe/proto/access.ts';
import { ErasureGround } from '@lethe/proto/gen/lethe/privacy/v1/enums.ts';
import { consumersOf } from '@lethe/proto/topics.ts';
import { migrateToLatest } from '@lethe/platform/database/migrate.ts';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import { createInProcessNetwork } from '@lethe/platform/grpc/in-process.ts';
import type { ErasureId, TenantId, Token } from '@lethe/platform/ids/ids.ts';
import { newUuid } from '@lethe/platform/ids/new-id.ts';
import { createLogger } from '@lethe/platform/log/logger.ts';
import { createHandClock } from '@lethe/platform/testing/hand-clock.ts';
import { openTestDatabase } from '@lethe/platform/testing/test-database.ts';
import { compactVerify, exportJWK, generateKeyPair, importSPKI } from 'jose';
import { type Kysely, sql } from 'kysely';
import type { Certificate } from './certificate/build-certificate.ts';
import { createCertificateSigner } from './certificate/signer.ts';
import { type Erasure, nextStep, type Receipt } from './domain/erasure.ts';
import { advanceErasure, type ErasureStepsPorts } from './erasure-steps.ts';
import { createErasureWriter } from './erasure-writer.ts';
import { migrations } from './migrations/migrations.ts';
import type { PrivacySchema } from './schema.ts';
import { readErasure } from './store.ts';
import { createMortality, Died, mortalPorts } from './testing/dying.ts';
import { createFakeKeys, type FakeKeys, fencingMs, revokingMs } from './testing/fake-keys.ts';
import { pendingEvents } from './testing/published-events.ts';

const tenantId = 'acme' as TenantId;
const person = '0b'.repeat(16) as Token;
const tickets = ['0c', '0d'].map((byte) => byte.repeat(16) as Token);
const obliged = consumersOf('privacy.v1');
const never = new AbortController().signal;
const horizons = { compactionBoundMs: 1_000, backupHorizonMs: 20_000 };

describe('the steps of an erasure', function () {
  this.timeout(60_000);
  const clock = createHandClock();
  let db: Kysely<PrivacySchema>;
  let keys: FakeKeys;
  let ports: ErasureStepsPorts;

  before(async () => {
    db = await openTestDatabase<PrivacySchema>('privacy_steps');
    await migrateToLatest(db, migrations);
  });

  beforeEach(async () => {
    await sql`truncate outbox, erasure_receipts, erasures, tenants`.execute(db);
    keys = createFakeKeys();
    keys.people.push({ token: person, aliases: [], tickets });
    const network = createInProcessNetwork();
    network.register('keys', [keys.registration]);
    const pair = await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true });
    ports = {
      db,
      keys: network.peersFor('privacy')('keys'),
      writer: createErasureWriter({ db, clock, randomBytes, onChanged: () => undefined }),
      signer: createCertificateSigner(await exportJWK(pair.privateKey)),
      horizons,
      clock,
      logger: createLogger({ service: 'privacy', level: 'silent' }),
    };
  });

  async function request(erasureId: ErasureId): Promise<Erasure> {
    return await ports.writer.apply(erasureId, {
      type: 'request',
      request: {
        tenantId,
        erasureId,
        ground: ErasureGround.ERASURE_GROUND_CONTROLLER,
        personTokens: [person],
        requestedAtMs: clock.nowMs(),
      },
    });
  }

  const receiptOf = (service: ServiceName): Receipt => ({
    service,
    recordsTombstoned: 3,
    rowsDeleted: 2,
    boxesUnreadable: 1,
    ledgerComplete: true,
    finishedAtMs: clock.nowMs(),
  });

  async function giveReceipts(erasureId: ErasureId): Promise<void> {
    for (const service of obliged) {
      const command = { type: 'recordReceipt', receipt: receiptOf(service) } as const;
      await ports.writer.apply(erasureId, command);
    }
  }

  async function stateOf(erasureId: ErasureId): Promise<Erasure> {
    const erasure = await readErasure(db, erasureId);
    assert.ok(erasure);
    return erasure;
  }

  /** Names and positions of the stream, which must be without gap or repetition. */
  async function assertStory(expected: readonly string[]): Promise<void> {
    const events = await pendingEvents(db);
    assert.deepEqual(
      events.map(({ event }) => event.$case),
      expected,
    );
    const positions = events.map(({ header }) => Number(header.position));
    assert.deepEqual(
      positions,
      expected.map((_, index) => index + 1),
    );
    const streams = new Set(events.map(({ header }) => header.streamToken.toString('hex')));
    assert.equal(streams.size, 1);
  }

  const wholeStory = [
    'erasureRequested',
    'scopesErased',
    ...obliged.map(() => 'erasureReceiptRecorded'),
    'erasureCompleted',
  ];

  it('lead from the request to a certificate that verifies', async () => {
    const erasureId = newUuid(clock, randomBytes);
    const { requestedAtMs } = await request(erasureId);
    assert.equal(await advanceErasure(ports, erasureId, never), 'rests');
    await giveReceipts(erasureId);
    clock.advance(5_000);
    assert.equal(await advanceErasure(ports, erasureId, never), 'rests');
    const { completion, fence, unreadableAtMs } = await stateOf(erasureId);
    assert.ok(completion && fence);
    assert.equal(unreadableAtMs, requestedAtMs + fencingMs + revokingMs);
    assert.equal(fence.scopes.length, 3);
    assert.equal(completion.purgedAtMs, clock.nowMs() - 5_000);
    assert.equal(completion.physicallyGoneByMs, completion.purgedAtMs + 21_000);
    const publicKey = await importSPKI(ports.signer.publicKeyPem, 'EdDSA');
    const { payload } = await compactVerify(completion.certificateJws, publicKey);
    const certificate = JSON.parse(Buffer.from(payload).toString()) as Certificate;
    assert.equal(certificate.erasureId, erasureId);
    assert.deepEqual(certificate.persons, [person]);
    assert.equal(certificate.scopes.tickets, 2);
    assert.equal(certificate.receipts.length, obliged.length);
    await assertStory(wholeStory);
  });

  it('tell the log whose keys are gone, who owes a receipt, and what the certificate hashes to', async () => {
    const erasureId = newUuid(clock, randomBytes);
    await request(erasureId);
    await advanceErasure(ports, erasureId, never);
    await giveReceipts(erasureId);
    await advanceErasure(ports, erasureId, never);
    const events = await pendingEvents(db);
    const [requested, erased] = events;
    assert.ok(requested?.event.$case === 'erasureRequested');
    assert.ok(erased?.event.$case === 'scopesErased');
    assert.equal(erased.header.type, 'ScopesErased');
    assert.equal(erased.header.tenantId, tenantId);
    assert.deepEqual(
      requested.event.value.personTokens.map((token) => token.toString('hex')),
      [person],
    );
    assert.deepEqual(erased.event.value.obligedServices, [...obliged]);
    assert.deepEqual(
      erased.event.value.scopes.map(({ token, incarnation }) => [
        token.toString('hex'),
        incarnation,
      ]),
      [person, ...tickets].map((token) => [token, 1]),
    );
    const last = events.at(-1);
    assert.ok(last?.event.$case === 'erasureCompleted');
    const { completion } = await stateOf(erasureId);
    const digest = createHash('sha256').update(completion?.certificateJws ?? '');
    assert.deepEqual(last.event.value.certificateSha256, digest.digest());
  });

  it('wait while a lease may still live, and for every obliged receipt', async () => {
    const erasureId = newUuid(clock, randomBytes);
    keys.isUnreadable = false;
    await request(erasureId);
    assert.equal(await advanceErasure(ports, erasureId, never), 'asks-again');
    await giveReceipts(erasureId);
    assert.equal(await advanceErasure(ports, erasureId, never), 'asks-again');
    keys.isUnreadable = true;
    await advanceErasure(ports, erasureId, never);
    assert.equal(nextStep(await stateOf(erasureId)), 'done');
    const other = newUuid(clock, randomBytes);
    await request(other);
    await advanceErasure(ports, other, never);
    for (const service of obliged.slice(1)) {
      await ports.writer.apply(other, { type: 'recordReceipt', receipt: receiptOf(service) });
      assert.equal(await advanceErasure(ports, other, never), 'rests');
    }
    assert.equal((await stateOf(other)).completion, undefined);
  });

  it('store nothing of a step whose call failed', async () => {
    const erasureId = newUuid(clock, randomBytes);
    await request(erasureId);
    keys.refusal = new ServiceError('KEYS_CATCHING_UP');
    const advanced = advanceErasure(ports, erasureId, never);
    await assert.rejects(advanced, { reason: 'KEYS_CATCHING_UP' });
    assert.equal(nextStep(await stateOf(erasureId)), 'fence');
    await assertStory(['erasureRequested']);
  });

  it('end the same if the process dies before or after any call or commit', async () => {
    const run = async (diesAt: number): Promise<number> => {
      await sql`truncate outbox, erasure_receipts, erasures`.execute(db);
      const erasureId = newUuid(clock, randomBytes);
      await request(erasureId);
      const mortality = createMortality(diesAt);
      const mortal = mortalPorts(ports, mortality);
      const live = async (): Promise<void> => {
        await advanceErasure(mortal, erasureId, never);
        await giveReceipts(erasureId);
        await advanceErasure(mortal, erasureId, never);
      };
      await live().catch((error: unknown) => assert.ok(error instanceof Died));
      // The next process knows nothing but the database; senders repeat their receipts.
      await advanceErasure(ports, erasureId, never);
      await giveReceipts(erasureId);
      await advanceErasure(ports, erasureId, never);
      assert.equal(nextStep(await stateOf(erasureId)), 'done');
      await assertStory(wholeStory);
      return mortality.moments();
    };
    const moments = await run(Infinity);
    assert.ok(moments >= 10, `${moments} moments to die at`);
    for (let diesAt = 1; diesAt <= moments; diesAt += 1) await run(diesAt);
  });

  it('may be taken by two at once', async () => {
    const erasureId = newUuid(clock, randomBytes);
    await request(erasureId);
    const both = () =>
      Promise.all([
        advanceErasure(ports, erasureId, never),
        advanceErasure(ports, erasureId, never),
      ]);
    await both();
    await Promise.all([giveReceipts(erasureId), giveReceipts(erasureId)]);
    await both();
    assert.equal(nextStep(await stateOf(erasureId)), 'done');
    const names = (await pendingEvents(db)).map(({ event }) => event.$case);
    assert.deepEqual(names.toSorted(), wholeStory.toSorted());
  });
});
