import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { EventEmitter, on } from 'node:events';
import {
  KeyServiceService,
  LeaseStatus,
  type LeaseRequest,
  type ScopeLease,
  type ScopeRequest,
  type WatchRevocationsResponse,
} from '@lethe/proto/gen/lethe/keys/v1/service.ts';
import type { Reason } from '@lethe/proto/reasons.ts';
import { ServiceError } from '../errors/service-error.ts';
import { createInProcessNetwork } from '../grpc/in-process.ts';
import { registerService } from '../grpc/register.ts';
import type { Scope, TenantId, Token } from '../ids/ids.ts';
import { createLogger } from '../log/logger.ts';
import { commitmentOf } from '../sealing/data-key.ts';
import { encodeScope } from '../sealing/scope-wire.ts';
import type { Telemetry } from '../telemetry/port.ts';
import { createHandClock } from '../testing/hand-clock.ts';
import { createRecordingTelemetry } from '../testing/recording-telemetry.ts';
import { until } from '../testing/until.ts';
import { CachedLease } from './cached-lease.ts';
import { createKeyClient } from './key-client.ts';
import { createTenantSecrets } from './tenant-secrets.ts';
import type { HeldLease, LeaseRefusal, SealLease } from './port.ts';

const acme = 'acme' as TenantId;
const person = { kind: 'person', token: 'aa'.repeat(16) as Token } as const;
const ticket = { kind: 'ticket', token: 'bb'.repeat(16) as Token } as const;
const alias = 'cc'.repeat(16) as Token;
const ttlMs = 30_000;
const hasReason = (reason: string) => (error: unknown) =>
  error instanceof ServiceError && error.reason === reason;

/** A keys service of a few lines: one key per scope, answers that a test can hold back or refuse. */
function createStubKeys() {
  const requests: LeaseRequest[] = [];
  const acknowledged: bigint[] = [];
  const dataKeys = new Map<string, Buffer>();
  const events = new EventEmitter();
  const stub = {
    requests,
    acknowledged,
    away: undefined as Reason | undefined,
    refusal: undefined as LeaseStatus | undefined,
    claimAtMost: Infinity,
    wrongKeyId: false,
    watchers: 0,
    beforeAnswer: async () => {},
    rotate: () => dataKeys.clear(),
    revoke: (message: WatchRevocationsResponse) => events.emit('revocation', message),
    breakWatches: () => events.emit('revocation', undefined),
  };
  const dataKeyOf = (scope: ScopeRequest) => {
    const name = `${scope.kind}${scope.token.toString('hex')}`;
    const secret = dataKeys.get(name) ?? randomBytes(32);
    dataKeys.set(name, secret);
    return secret;
  };
  const answerScope = (scope: ScopeRequest): ScopeLease => {
    const dataKey = dataKeyOf(scope);
    return {
      status: stub.refusal ?? LeaseStatus.LEASE_STATUS_GRANTED,
      kind: scope.kind,
      token: scope.token,
      incarnation: 1,
      generation: 0,
      keyId: stub.wrongKeyId ? randomBytes(16) : commitmentOf(dataKey),
      dataKey,
      digestKey: randomBytes(32),
      ownerToken: Buffer.alloc(0),
      ownerIncarnation: 0,
      fenceCutOff: undefined,
      claimedMessages: Math.min(scope.claimMessages, stub.claimAtMost),
      claimedBytes: scope.claimBytes,
    };
  };
  const unused = async (): Promise<never> => {
    throw new ServiceError('INTERNAL_DEFECT');
  };
  const registration = registerService(KeyServiceService, {
    createTenant: unused,
    resolvePersons: unused,
    fence: unused,
    previewFence: unused,
    unreadableStatus: unused,
    contributors: unused,
    lease: async (request) => {
      requests.push(request);
      if (stub.away !== undefined) throw new ServiceError(stub.away);
      const leases = request.scopes.map(answerScope);
      await stub.beforeAnswer();
      return { leases, ttlMs };
    },
    leaseTokenKey: async () => {
      requests.push({ tenantId: 'token-key', purpose: 0, holderId: '', scopes: [] });
      return { tokenKey: Buffer.alloc(32, 7), ttlMs };
    },
    leaseContributorKey: async ({ month }) => ({
      contributorKey: month === 1 ? Buffer.alloc(0) : Buffer.alloc(32, month),
      ttlMs,
    }),
    watchRevocations: async function* (_request, call) {
      stub.watchers += 1;
      const messages = on(events, 'revocation', { signal: call.signal });
      yield { revocationId: 0n, tenantId: '', scopes: [] };
      for await (const [message] of messages as AsyncIterable<[WatchRevocationsResponse?]>) {
        if (message === undefined) throw new ServiceError('SHUTTING_DOWN');
        yield message;
      }
    },
    acknowledgeRevocation: async ({ revocationId }) => {
      acknowledged.push(revocationId);
      return {};
    },
  });
  return { stub, registration };
}

function granted<Lease extends HeldLease>(answer: Lease | LeaseRefusal | undefined): Lease {
  assert.ok(answer?.granted === true, 'the lease was granted');
  return answer;
}

describe('the key client', () => {
  const setup = async (
    options: { leasesMax?: number; sweepEveryMs?: number; telemetry?: Telemetry } = {},
  ) => {
    const clock = createHandClock();
    const { stub, registration } = createStubKeys();
    const network = createInProcessNetwork();
    network.register('keys', [registration]);
    const client = createKeyClient({
      peer: network.peersFor('tickets')('keys'),
      holderId: 'tickets-1',
      clock,
      logger: createLogger({ service: 'test', level: 'silent' }),
      ...options,
    });
    await client.start();
    const seal = async (scope: Scope, messages = 1) =>
      granted<SealLease>((await client.leaseForSeal(acme, [{ scope, messages }]))[0]);
    return { clock, stub, client, seal };
  };
  const revocationOf = (scope: Scope, revocationId = 1n) => ({
    revocationId,
    tenantId: acme,
    scopes: [{ ...encodeScope(scope), incarnation: 1 }],
  });
  const turns = async () => {
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
  };

  it('makes one call and one key of 3,000 concurrent cold seals of one scope', async () => {
    const { client, stub } = await setup();
    const seals = Array.from({ length: 3_000 }, async () => {
      const lease = granted((await client.leaseForSeal(acme, [{ scope: ticket }]))[0]);
      lease.take(1_024);
      return lease.dataKey.keyId.toString('hex');
    });
    assert.equal(new Set(await Promise.all(seals)).size, 1);
    assert.equal(stub.requests.length, 1);
    await client.stop();
  });

  it('asks for all missing scopes of a batch in one call and for none that it holds', async () => {
    const { client, stub, seal } = await setup();
    await seal(person);
    await client.leaseForSeal(acme, [
      { scope: person },
      { scope: ticket },
      { scope: { kind: 'facts' } },
    ]);
    assert.deepEqual(
      stub.requests.map(({ scopes }) => scopes.length),
      [1, 2],
    );
    await client.stop();
  });

  for (const [name, move] of [
    [
      'the monotonic clock',
      (clock: ReturnType<typeof createHandClock>) => clock.advanceMonotonic(ttlMs),
    ],
    ['the wall clock', (clock: ReturnType<typeof createHandClock>) => clock.jumpWall(ttlMs)],
    [
      'the monotonic clock while the wall clock was set back',
      (clock: ReturnType<typeof createHandClock>) => {
        clock.jumpWall(-3_600_000);
        clock.advanceMonotonic(ttlMs);
      },
    ],
  ] as const) {
    it(`takes a lease as over by ${name}`, async () => {
      const { clock, client, seal } = await setup();
      const lease = await seal(person);
      clock.advance(ttlMs - 1);
      lease.assertUsable();
      clock.advance(1 - ttlMs);
      move(clock);
      assert.throws(() => lease.assertUsable(), hasReason('LEASE_EXPIRED'));
      await client.stop();
    });
  }

  it('counts the term from before the request', async () => {
    const { clock, stub, client, seal } = await setup();
    stub.beforeAnswer = async () => clock.advance(20_000);
    const answer = seal(person).catch((error: unknown) => error);
    // Every answer takes two thirds of the term: what is left is not enough to begin a transaction with.
    assert.ok(hasReason('KEYS_UNAVAILABLE')(await answer));
    assert.ok(stub.requests.length > 1);
    await client.stop();
  });

  it('renews before the end without claiming again, and keeps the claim', async () => {
    const { clock, stub, client, seal } = await setup();
    const first = await seal(person);
    clock.advance((ttlMs * 2) / 3);
    const second = await seal(person);
    assert.equal(second, first);
    assert.equal(stub.requests[1]?.scopes[0]?.claimMessages, 0);
    assert.deepEqual(stub.requests[1]?.scopes[0]?.heldKeyId, first.dataKey.keyId);
    clock.advance(ttlMs / 2);
    first.assertUsable();
    await client.stop();
  });

  it('drops the key when the term ran out, and keeps the claim for the same key', async () => {
    const { clock, stub, client, seal } = await setup({ sweepEveryMs: 1 });
    const lease = await seal(person);
    assert.ok(lease instanceof CachedLease);
    const { keyId } = lease.dataKey;
    // Once it is swept, not even a clock that was set back finds the key.
    while (lease.isUsable) {
      clock.advance(ttlMs);
      await new Promise((resolve) => setTimeout(resolve, 2));
      clock.advance(-ttlMs);
    }
    const again = await seal(person);
    assert.equal(stub.requests[1]?.scopes[0]?.claimMessages, 0);
    assert.deepEqual(again.dataKey.keyId, keyId);
    again.take(10);
    await client.stop();
  });

  it('claims anew when the term ran out and keys has gone over to another key', async () => {
    const { clock, stub, client, seal } = await setup();
    await seal(person);
    clock.advance(ttlMs);
    stub.rotate();
    (await seal(person)).take(10);
    assert.deepEqual(
      stub.requests.map(({ scopes }) => scopes[0]?.claimMessages),
      [4_096, 0, 4_096],
    );
    await client.stop();
  });

  it('seals no more than it claimed', async () => {
    const { stub, client, seal } = await setup();
    stub.claimAtMost = 2;
    const lease = await seal(person);
    lease.take(10);
    lease.take(10);
    assert.throws(() => lease.take(10), hasReason('LEASE_CLAIM_EXHAUSTED'));
    (await seal(person)).take(10);
    assert.equal(stub.requests.length, 2);
    await client.stop();
  });

  it('goes over to the next data key when keys gives one, and lets the old one end', async () => {
    const { clock, stub, client, seal } = await setup();
    const old = await seal(person);
    stub.rotate();
    clock.advance((ttlMs * 2) / 3);
    const next = await seal(person);
    assert.notDeepEqual(next.dataKey.keyId, old.dataKey.keyId);
    old.assertUsable();
    stub.revoke(revocationOf(person));
    await turns();
    assert.throws(() => old.assertUsable(), hasReason('LEASE_EXPIRED'));
    assert.throws(() => next.assertUsable(), hasReason('LEASE_EXPIRED'));
    await client.stop();
  });

  it('evicts on a revocation before it acknowledges', async () => {
    const { stub, client, seal } = await setup();
    const lease = await seal(person);
    const other = await seal(ticket);
    stub.revoke(revocationOf(person, 7n));
    await turns();
    assert.deepEqual(stub.acknowledged, [7n]);
    assert.throws(() => lease.assertUsable(), hasReason('LEASE_EXPIRED'));
    other.assertUsable();
    await client.stop();
  });

  it('does not use an answer that a revocation overtook', async () => {
    const { stub, client } = await setup();
    const release = Promise.withResolvers<void>();
    stub.beforeAnswer = async () => await release.promise;
    const answer = client.leaseForSeal(acme, [{ scope: person }]);
    await turns();
    stub.revoke(revocationOf(person));
    await turns();
    stub.refusal = LeaseStatus.LEASE_STATUS_ERASED;
    release.resolve();
    const lease = (await answer)[0];
    assert.equal(lease?.granted === false ? lease.status : 'granted', 'erased');
    assert.equal(stub.requests.length, 2);
    await client.stop();
  });

  it('evicts everything when it had to register again', async () => {
    const { stub, client, seal } = await setup();
    const lease = await seal(person);
    stub.breakWatches();
    while (stub.watchers < 2) await turns();
    await turns();
    assert.throws(() => lease.assertUsable(), hasReason('LEASE_EXPIRED'));
    await client.stop();
  });

  for (const away of ['STORE_UNAVAILABLE', 'KMS_MISCONFIGURED'] as const) {
    it(`seals on with what it holds while keys is away with ${away}, then fails closed`, async () => {
      const { clock, stub, client, seal } = await setup();
      const lease = await seal(person);
      stub.away = away;
      clock.advance((ttlMs * 2) / 3);
      assert.equal(await seal(person), lease);
      clock.advance(ttlMs / 3);
      await assert.rejects(seal(person), hasReason('KEYS_UNAVAILABLE'));
      await assert.rejects(seal(ticket), hasReason('KEYS_UNAVAILABLE'));
      stub.away = undefined;
      await seal(ticket);
      await client.stop();
    });
  }

  it('passes on what no waiting mends', async () => {
    const { stub, client, seal } = await setup();
    stub.away = 'KMS_UNWRAP_FAILED';
    await assert.rejects(seal(person), hasReason('KMS_UNWRAP_FAILED'));
    await client.stop();
  });

  it('refuses before it is registered and after it was stopped', async () => {
    const { client, seal } = await setup();
    const lease = await seal(person);
    await client.stop();
    assert.throws(() => lease.assertUsable(), hasReason('LEASE_EXPIRED'));
    await assert.rejects(seal(person), hasReason('KEYS_UNAVAILABLE'));
  });

  it('tells of leases that could not be had, also where nobody was called', async () => {
    const { telemetry, recorded } = createRecordingTelemetry();
    const { clock, stub, client, seal } = await setup({ telemetry });
    const told = () => {
      const results = { hit: 0, miss: 0, failed: 0 };
      for (const { value, attributes } of recorded) {
        if (!('lethe.lease.result' in attributes)) continue;
        results[attributes['lethe.lease.result'] as keyof typeof results] += value;
      }
      return results;
    };
    await seal(person);
    await client.leaseForSeal(acme, [{ scope: person }, { scope: ticket }]);
    assert.deepEqual(told(), { hit: 1, miss: 2, failed: 0 });
    stub.away = 'SERVICE_UNAVAILABLE';
    clock.advance((ttlMs * 2) / 3);
    await seal(person);
    assert.deepEqual(told(), { hit: 1, miss: 3, failed: 0 }, 'held on to');
    clock.advance(ttlMs);
    await assert.rejects(seal(person), hasReason('KEYS_UNAVAILABLE'));
    assert.deepEqual(told(), { hit: 1, miss: 3, failed: 1 });
    stub.away = undefined;
    stub.beforeAnswer = async () => {
      throw new ServiceError('TENANT_UNKNOWN');
    };
    await assert.rejects(seal(person), hasReason('TENANT_UNKNOWN'));
    assert.deepEqual(told(), { hit: 1, miss: 4, failed: 1 });
    // The watch is gone: no call is made.
    await client.stop();
    const calls = stub.requests.length;
    await assert.rejects(client.leaseForSeal(acme, [{ scope: person }, { scope: ticket }]));
    assert.equal(stub.requests.length, calls);
    assert.deepEqual(told(), { hit: 1, miss: 4, failed: 3 });
  });

  it('refuses a data key that does not match its id', async () => {
    const { stub, client, seal } = await setup();
    stub.wrongKeyId = true;
    await assert.rejects(seal(person), hasReason('KEY_COMMITMENT_MISMATCH'));
    await client.stop();
  });

  it('sends aliases that keys has not registered yet', async () => {
    const { stub, client, seal } = await setup();
    await seal(person);
    await client.leaseForSeal(acme, [{ scope: person, aliases: [alias] }]);
    await client.leaseForSeal(acme, [{ scope: person, aliases: [alias] }]);
    assert.equal(stub.requests.length, 2);
    await client.stop();
  });

  it('ends what leaves a full cache', async () => {
    const { client, seal } = await setup({ leasesMax: 1 });
    const first = await seal(person);
    await seal(ticket);
    assert.throws(() => first.assertUsable(), hasReason('LEASE_EXPIRED'));
    await client.stop();
  });

  it('asks once for the token key and again after its term; a closed month has no contributors', async () => {
    const { clock, stub, client } = await setup();
    const [a, b] = await Promise.all([client.tokens(acme), client.tokens(acme)]);
    assert.equal(a.ticket('T-1'), b.ticket('T-1'));
    assert.equal(stub.requests.length, 1);
    clock.advance(ttlMs);
    await client.tokens(acme);
    assert.equal(stub.requests.length, 2);
    assert.equal(await client.contributors(acme, 1), undefined);
    assert.equal((await client.contributors(acme, 2))?.(person.token).length, 8);
    await client.stop();
  });

  it('drops token and contributor keys past their term, whether or not anybody asks again', async () => {
    const clock = createHandClock();
    const { stub, registration } = createStubKeys();
    const network = createInProcessNetwork();
    network.register('keys', [registration]);
    const secrets = createTenantSecrets(network.peersFor('tickets')('keys'), 'tickets-1', clock);
    await secrets.tokens(acme);
    clock.advance(ttlMs - 1);
    await Promise.all([2, 3].map(async (month) => secrets.contributors(acme, month)));
    assert.equal(secrets.sweep(), 3);
    clock.advance(1);
    assert.equal(secrets.sweep(), 2);
    clock.advance(ttlMs);
    const asked = secrets.tokens(acme);
    assert.equal(secrets.sweep(), 1, 'the one that is under way');
    await asked;
    assert.equal(stub.requests.length, 2);
  });

  it('sweeps token keys of a client that was never started', async () => {
    const clock = createHandClock();
    const { stub, registration } = createStubKeys();
    const network = createInProcessNetwork();
    network.register('keys', [registration]);
    let looks = 0;
    const client = createKeyClient({
      peer: network.peersFor('tickets')('keys'),
      holderId: 'privacy',
      clock: {
        ...clock,
        nowMs: () => {
          looks += 1;
          return clock.nowMs();
        },
      },
      logger: createLogger({ service: 'test', level: 'silent' }),
      sweepEveryMs: 1,
    });
    await client.tokens(acme);
    const before = looks;
    await until(() => looks > before);
    assert.equal(stub.requests.length, 1);
    await client.stop();
  });
});
