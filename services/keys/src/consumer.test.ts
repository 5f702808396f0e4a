import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import { type Scope, type Token, tokenBytes } from '@lethe/platform/ids/ids.ts';
import { encodeScope } from '@lethe/platform/sealing/scope-wire.ts';
import { unsentReceipts } from '@lethe/platform/receipts/receipts.ts';
import { KeyServiceService, LeaseStatus } from '@lethe/proto/gen/lethe/keys/v1/service.ts';
import { ErasureGround, ReturningPersons } from '@lethe/proto/gen/lethe/privacy/v1/enums.ts';
import type { Kms } from './kms/port.ts';
import { createKeysCaller, createTenant, fence, type KeysCaller } from './testing/keys-caller.ts';
import {
  createKeysWorld,
  type KeysWorld,
  type RunningKeys,
  someToken,
  startKeys,
  tenantNamed,
} from './testing/keys-under-test.ts';
import { publish, type PublishedEvent } from './testing/privacy-log.ts';

const { LEASE_STATUS_ERASED: erased, LEASE_STATUS_GRANTED: granted } = LeaseStatus;
const person = (token: Token): Scope => ({ kind: 'person', token });
const hasReason = (reason: string) => (error: unknown) =>
  error instanceof ServiceError && error.reason === reason;

describe('keys reading privacy.v1', () => {
  const acme = tenantNamed('acme');
  let world: KeysWorld;
  let keys: RunningKeys;
  let tickets: KeysCaller;

  const restart = async (): Promise<void> => {
    await keys.stop();
    keys = await startKeys(world);
    tickets = createKeysCaller(keys, 'tickets', acme);
    await tickets.register();
  };
  const seal = async (scope: Scope) => {
    const [lease] = await tickets.seal({ scope });
    assert.ok(lease !== undefined);
    return lease;
  };
  const open = async (scope: Scope, keyId: Uint8Array, incarnation = 1) => {
    const [lease] = await tickets.open({ scope, keyId, incarnation });
    assert.ok(lease !== undefined);
    return lease;
  };
  const requested = (erasureId: string, token: Token): PublishedEvent => ({
    $case: 'erasureRequested',
    value: {
      erasureId,
      ground: ErasureGround.ERASURE_GROUND_CONSENT_WITHDRAWN,
      personTokens: [tokenBytes(token)],
      ticketTokens: [],
      requestedAt: new Date(world.clock.nowMs()),
    },
  });
  const scopesErased = (erasureId: string, scope: Scope, incarnation: number): PublishedEvent => ({
    $case: 'scopesErased',
    value: {
      erasureId,
      scopes: [{ ...encodeScope(scope), incarnation, cutOff: new Date(5) }],
      obligedServices: ['keys'],
    },
  });
  const settings = (returningPersons: ReturningPersons) => ({
    region: 'eu-central',
    retentionDays: 400,
    returningPersons,
  });
  const registered = (policy: ReturningPersons): PublishedEvent => ({
    $case: 'tenantRegistered',
    value: { settings: settings(policy), registeredAt: new Date(0) },
  });
  /** Waits, without a bound in time: the test's own bound ends it. */
  const until = async (isTrue: () => Promise<boolean>): Promise<void> => {
    while (!(await isTrue())) await new Promise((resolve) => setTimeout(resolve, 2));
  };
  const receiptOf = async (erasureId: string) =>
    (await unsentReceipts(world.db, 1_000)).find((receipt) => receipt.erasureId === erasureId);

  beforeEach(async function () {
    this.timeout(60_000);
    world = await createKeysWorld('keys-consumer');
    keys = await startKeys(world);
    await createTenant(keys, acme);
    tickets = createKeysCaller(keys, 'tickets', acme);
    await tickets.register();
  });
  afterEach(async () => {
    await keys.stop();
    await world.remove();
  });

  it('creates tenants and follows what they want with returning persons', async () => {
    const globex = tenantNamed('globex');
    await publish(world.eventLog, globex, registered(ReturningPersons.RETURNING_PERSONS_REFUSE));
    const caller = createKeysCaller(keys, 'tickets', globex, 'tickets-of-globex');
    await caller.register();
    await until(async () => {
      const row = await world.db
        .selectFrom('tenants')
        .where('tenant_id', '=', globex)
        .select('may_return')
        .executeTakeFirst();
      return row?.may_return === false;
    });
    const token = someToken();
    await fence(keys, { tenantId: globex, erasureId: randomUUID(), persons: [token], cutOffMs: 0 });
    const statusOf = async () => (await caller.seal({ scope: person(token) }))[0]?.status;
    assert.equal(await statusOf(), erased);
    await publish(world.eventLog, globex, {
      $case: 'tenantSettingsChanged',
      value: {
        settings: settings(ReturningPersons.RETURNING_PERSONS_ALLOW),
        changedAt: new Date(0),
      },
    });
    await until(async () => (await statusOf()) === granted);
  });

  it('waits with a tenant while its KMS is set up wrong, and goes on once that is mended', async () => {
    await keys.stop();
    const { kms } = keys;
    let isMended = false;
    const broken: Kms = {
      ...kms,
      wrap: async (tenantId, plaintext) => {
        if (!isMended) throw new ServiceError('KMS_MISCONFIGURED');
        return await kms.wrap(tenantId, plaintext);
      },
    };
    const clock: KeysWorld['clock'] = {
      ...world.clock,
      sleep: (durationMs, signal) => world.clock.sleep(Math.min(durationMs, 5), signal),
    };
    keys = await startKeys({ ...world, clock }, {}, { kms: broken });
    const globex = tenantNamed('globex');
    const [token, erasureId] = [someToken(), randomUUID()];
    await publish(world.eventLog, globex, registered(ReturningPersons.RETURNING_PERSONS_ALLOW));
    await publish(
      world.eventLog,
      acme,
      requested(erasureId, token),
      scopesErased(erasureId, person(token), 1),
    );
    const isWaiting = () => /waits: KMS_MISCONFIGURED/.test(keys.service.problem() ?? '');
    await until(async () => isWaiting());
    isMended = true;
    await until(async () => (await receiptOf(erasureId)) !== undefined);
    await until(async () => !isWaiting());
  }).timeout(60_000);

  it('fences what was requested although nobody called, and pushes', async () => {
    const token = someToken();
    const { keyId } = await seal(person(token));
    const erasureId = randomUUID();
    await publish(world.eventLog, acme, requested(erasureId, token));
    await until(async () => (await open(person(token), keyId)).status === erased);
    await until(async () => tickets.pushed.length > 0);
    assert.equal((await fence(keys, { tenantId: acme, erasureId, cutOffMs: 0 })).keysDestroyed, 1);
  });

  it('touches nothing when the call was faster, so a returned person stays', async () => {
    const token = someToken();
    await seal(person(token));
    const erasureId = randomUUID();
    await fence(keys, { tenantId: acme, erasureId, persons: [token], cutOffMs: 0 });
    const returned = await seal(person(token));
    await publish(
      world.eventLog,
      acme,
      requested(erasureId, token),
      scopesErased(erasureId, person(token), 1),
    );
    await until(async () => (await receiptOf(erasureId)) !== undefined);
    assert.equal((await open(person(token), returned.keyId, 2)).status, granted);
  });

  it('never lowers a fence, so a list that comes late harms nobody who returned', async () => {
    const token = someToken();
    const sealed: Buffer[] = [];
    for (let erasure = 0; erasure < 2; erasure += 1) {
      sealed.push((await seal(person(token))).keyId);
      const order = { tenantId: acme, erasureId: randomUUID(), persons: [token], cutOffMs: 9 };
      await fence(keys, order);
    }
    const returned = await seal(person(token));
    const late = randomUUID();
    await publish(world.eventLog, acme, scopesErased(late, person(token), 1));
    await until(async () => (await receiptOf(late)) !== undefined);
    const after = await seal(person(token));
    assert.deepEqual(after.keyId, returned.keyId);
    assert.equal(after.incarnation, 3);
    assert.equal(after.fenceCutOff?.getTime(), 9);
    const [, secondKeyId = Buffer.alloc(16)] = sealed;
    assert.equal((await open(person(token), secondKeyId, 2)).status, erased);
  });

  it('fences what a list has and its own store no longer knew', async () => {
    const [owner, lost] = [someToken(), someToken()];
    const erasureId = randomUUID();
    await publish(
      world.eventLog,
      acme,
      requested(erasureId, owner),
      scopesErased(erasureId, { kind: 'ticket', token: lost }, 1),
    );
    await until(async () => (await receiptOf(erasureId)) !== undefined);
    const [created] = await tickets.seal({
      scope: { kind: 'ticket', token: lost },
      owner: { token: owner, incarnation: 2 },
    });
    assert.equal(created?.status, erased);
  });

  it('owes privacy a receipt for each erased list, with the keys destroyed', async () => {
    const token = someToken();
    await seal(person(token));
    const erasureId = randomUUID();
    await publish(
      world.eventLog,
      acme,
      requested(erasureId, token),
      scopesErased(erasureId, person(token), 1),
    );
    await until(async () => (await receiptOf(erasureId)) !== undefined);
    assert.deepEqual((await receiptOf(erasureId))?.receipt, {
      service: 'keys',
      records: 0n,
      rows: 1n,
      boxesUnreadable: 0n,
      ledgerComplete: true,
      finishedAt: new Date(world.clock.nowMs()),
    });
  });

  it('cannot be made to remember by a restored store: it leases only once it has forgotten again', async () => {
    const [erasedToken, livingToken] = [someToken(), someToken()];
    const { keyId } = await seal(person(erasedToken));
    await seal(person(livingToken));
    await keys.stop();
    const tables = ['data_keys', 'fences', 'erasures', 'checkpoints', 'receipts'] as const;
    for (const table of tables) {
      await sql`create table ${sql.table(`copy_of_${table}`)} as table ${sql.table(table)}`.execute(
        world.db,
      );
    }
    await restart();
    const [first, second] = [randomUUID(), randomUUID()];
    await fence(keys, { tenantId: acme, erasureId: first, persons: [erasedToken], cutOffMs: 0 });
    await publish(
      world.eventLog,
      acme,
      requested(first, erasedToken),
      scopesErased(first, person(erasedToken), 1),
      // An erasure whose request the log has lost for some reason still stands in its list.
      scopesErased(second, person(livingToken), 3),
    );
    await until(async () => (await receiptOf(second)) !== undefined);
    await keys.stop();
    for (const table of tables) {
      await sql`truncate ${sql.table(table)}`.execute(world.db);
      await sql`insert into ${sql.table(table)} table ${sql.table(`copy_of_${table}`)}`.execute(
        world.db,
      );
    }
    const { rows } = await sql`select from data_keys`.execute(world.db);
    assert.equal(rows.length, 2, 'the restored store has both keys');

    await restart();
    assert.equal((await open(person(erasedToken), keyId)).status, erased);
    assert.equal((await seal(person(erasedToken))).incarnation, 2);
    assert.equal((await seal(person(livingToken))).incarnation, 4);
  });

  it('leases and fences nothing before it has read the log to its end', async () => {
    await keys.stop();
    const paused: typeof world.eventLog = {
      ...world.eventLog,
      openReader: () => Promise.reject(new ServiceError('STORE_UNAVAILABLE')),
    };
    keys = await startKeys({ ...world, eventLog: paused }, {}, { waitsForLog: false });
    tickets = createKeysCaller(keys, 'tickets', acme);
    await tickets.register();
    const closed = hasReason('KEYS_CATCHING_UP');
    const request = { tenantId: acme, holderId: 'one', month: 0 };
    const peer = keys.peersOf('tickets')('keys');
    await assert.rejects(tickets.seal({ scope: { kind: 'facts' } }), closed);
    await assert.rejects(peer.unary(KeyServiceService.leaseTokenKey, request), closed);
    await assert.rejects(peer.unary(KeyServiceService.leaseContributorKey, request), closed);
    await assert.rejects(
      fence(keys, { tenantId: acme, erasureId: randomUUID(), cutOffMs: 0 }),
      closed,
    );
    const erasure = { tenantId: acme, erasureId: randomUUID() };
    await assert.rejects(
      keys.peersOf('analytics')('keys').unary(KeyServiceService.contributors, erasure),
      closed,
    );
    const preview = { tenantId: acme, personTokens: [], ticketTokens: [] };
    await assert.rejects(
      keys.peersOf('privacy')('keys').unary(KeyServiceService.previewFence, preview),
      closed,
    );
  });

  it('stops at an event that it does not know, says so, and leases nothing after a restart', async () => {
    await publish(world.eventLog, acme, { payload: Buffer.of(0xff, 0xff) });
    await until(async () => keys.service.problem() !== undefined);
    assert.match(keys.service.problem() ?? '', /privacy\.v1\/0 stopped: EVENT_TYPE_UNKNOWN/);
    await keys.stop();
    keys = await startKeys(world, {}, { waitsForLog: false });
    await until(async () => keys.service.problem() !== undefined);
    tickets = createKeysCaller(keys, 'tickets', acme);
    await tickets.register();
    await assert.rejects(tickets.seal({ scope: { kind: 'facts' } }), hasReason('KEYS_CATCHING_UP'));
  });
});
