import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { MethodDefinition, Peer } from '@lethe/platform/grpc/handler.ts';
import type { Scope, Token } from '@lethe/platform/ids/ids.ts';
import { createKeyClient } from '@lethe/platform/key-client/key-client.ts';
import type {
  HeldLease,
  KeyClient,
  LeaseRefusal,
  SealLease,
} from '@lethe/platform/key-client/port.ts';
import { createLogger } from '@lethe/platform/log/logger.ts';
import { KeyServiceService } from '@lethe/proto/gen/lethe/keys/v1/service.ts';
import { createTenant, fence } from './testing/keys-caller.ts';
import {
  createKeysWorld,
  type KeysWorld,
  type RunningKeys,
  someToken,
  startKeys,
  tenantNamed,
} from './testing/keys-under-test.ts';

const person = (token: Token) => ({ kind: 'person', token }) as const;
const ticket = (token: Token) => ({ kind: 'ticket', token }) as const;

/** A peer whose Lease answers a test can hold back on their way. */
function createSlowPeer(peer: Peer) {
  let leases = 0;
  let onTheWay: () => Promise<void> = async () => {};
  const slow: Peer = {
    ...peer,
    unary: async <Request, Response>(
      method: MethodDefinition<Request, Response>,
      request: Request,
      options?: Parameters<Peer['unary']>[2],
    ): Promise<Response> => {
      const response = await peer.unary(method, request, options);
      if (method.path === KeyServiceService.lease.path) {
        leases += 1;
        await onTheWay();
      }
      return response;
    },
  };
  return {
    peer: slow,
    leases: () => leases,
    /** The next answers arrive when the returned function is called. */
    holdBack: (): (() => void) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      onTheWay = () => promise;
      return () => {
        onTheWay = async () => {};
        resolve();
      };
    },
  };
}

/** Calls whichever process of keys runs at the moment, as an address does. */
function createPeerOf(running: () => RunningKeys): Peer {
  const peer = (): Peer => running().peersOf('tickets')('keys');
  return {
    unary: (method, request, options) => peer().unary(method, request, options),
    serverStream: (method, request, options) => peer().serverStream(method, request, options),
  };
}

describe('the key client on the real keys service', () => {
  const acme = tenantNamed('acme');
  let world: KeysWorld;
  let keys: RunningKeys;
  let slow: ReturnType<typeof createSlowPeer>;
  let client: KeyClient;

  const granted = <Lease extends HeldLease>(lease: Lease | LeaseRefusal | undefined): Lease => {
    assert.ok(lease?.granted === true);
    return lease;
  };
  const seal = async (scope: Scope): Promise<SealLease> =>
    granted((await client.leaseForSeal(acme, [{ scope }]))[0]);
  const open = async (scope: Scope, lease: HeldLease) => {
    const { incarnation, dataKey } = lease;
    return (await client.leaseForOpen(acme, [{ scope, incarnation, keyId: dataKey.keyId }]))[0];
  };
  const erase = async (token: Token): Promise<string> => {
    const erasureId = randomUUID();
    await fence(keys, { tenantId: acme, erasureId, persons: [token], cutOffMs: 0 });
    return erasureId;
  };
  const unreadableAt = async (erasureId: string) => {
    const request = { tenantId: acme, erasureId };
    const peer = keys.peersOf('privacy')('keys');
    return (await peer.unary(KeyServiceService.unreadableStatus, request)).unreadableAt;
  };
  const until = async (isTrue: () => boolean | Promise<boolean>): Promise<void> => {
    while (!(await isTrue())) await new Promise((resolve) => setTimeout(resolve, 2));
  };
  const isOver = (lease: HeldLease): boolean => {
    try {
      lease.assertUsable();
      return false;
    } catch (error) {
      assert.ok(error instanceof ServiceError && error.reason === 'LEASE_EXPIRED');
      return true;
    }
  };

  beforeEach(async function () {
    this.timeout(60_000);
    world = await createKeysWorld('keys-client');
    keys = await startKeys(world);
    await createTenant(keys, acme);
    slow = createSlowPeer(createPeerOf(() => keys));
    client = createKeyClient({
      peer: slow.peer,
      holderId: 'tickets-1',
      clock: world.clock,
      logger: createLogger({ service: 'tickets', level: 'silent' }),
    });
    await client.start();
  });
  afterEach(async () => {
    await client.stop();
    await keys.stop();
    await world.remove();
  });

  it('3,000 concurrent cold seals of one scope: one call, one key', async () => {
    const scope = person(someToken());
    const leases = await Promise.all(Array.from({ length: 3_000 }, () => seal(scope)));
    for (const lease of leases) lease.take(100);
    assert.equal(new Set(leases.map(({ dataKey }) => dataKey.keyId.toString('hex'))).size, 1);
    assert.equal(slow.leases(), 1);
    const rows = await world.db.selectFrom('data_keys').select('scope').execute();
    assert.equal(rows.length, 1);
  });

  it('an erasure ends the leases of the person and their tickets, and soon nobody can read', async () => {
    const owner = someToken();
    const { incarnation } = await seal(person(owner));
    const scope = ticket(someToken());
    const createFor = { token: owner, incarnation };
    const lease = granted((await client.leaseForSeal(acme, [{ scope, createFor }]))[0]);
    const other = await seal(person(someToken()));
    const opened = granted(await open(scope, lease));
    const erasureId = await erase(owner);
    await until(() => isOver(lease) && isOver(opened));
    assert.ok(!isOver(other));
    await until(async () => (await unreadableAt(erasureId)) !== undefined);
    const answer = (await client.leaseForSeal(acme, [{ scope }]))[0];
    assert.ok(answer?.granted === false && answer.status === 'erased');
    assert.equal(answer.incarnation, 1);
    assert.equal((await seal(person(owner))).incarnation, 2);
  });

  it('does not use a lease that a revocation overtook on the way', async () => {
    const scope = person(someToken());
    const first = await seal(scope);
    const keyId = first.dataKey.keyId;
    client.evict(acme, scope);
    const letArrive = slow.holdBack();
    const late = client.leaseForSeal(acme, [{ scope }]);
    await until(() => slow.leases() === 2);
    const erasureId = await erase(scope.token);
    await until(async () => (await unreadableAt(erasureId)) !== undefined);
    letArrive();
    const lease = granted((await late)[0]);
    assert.notDeepEqual(lease.dataKey.keyId, keyId);
    assert.equal(lease.incarnation, 2);
  });

  it('says owner_fenced for a stale owner, and creates the ticket for the next incarnation', async () => {
    const owner = someToken();
    const stale = await seal(person(owner));
    await erase(owner);
    const scope = ticket(someToken());
    const createWith = async (incarnation: number) =>
      (await client.leaseForSeal(acme, [{ scope, createFor: { token: owner, incarnation } }]))[0];
    const refused = await createWith(stale.incarnation);
    assert.ok(refused?.granted === false && refused.status === 'owner_fenced');
    client.evict(acme, person(owner));
    const fresh = await seal(person(owner));
    assert.equal(granted(await createWith(fresh.incarnation)).owner?.incarnation, 2);
  });

  it('registers again by itself after keys was restarted, and leases the same key', async () => {
    const scope = person(someToken());
    const { keyId } = (await seal(scope)).dataKey;
    await keys.stop();
    keys = await startKeys(world);
    const tryToSeal = async (): Promise<SealLease | undefined> => {
      try {
        return await seal(person(someToken()));
      } catch (error) {
        assert.ok(error instanceof ServiceError);
        return undefined;
      }
    };
    await until(async () => (await tryToSeal()) !== undefined);
    assert.deepEqual((await seal(scope)).dataKey.keyId, keyId);
  });

  it('makes tokens and contributors with the keys of the tenant', async () => {
    const tokens = await client.tokens(acme);
    const token = tokens.person('4711');
    assert.equal(tokens.person(' 4711 '), token);
    const month = 2026 * 12 + 10;
    const contributorOf = await client.contributors(acme, month);
    assert.equal(contributorOf?.(token).length, 8);
    assert.equal(await client.contributors(acme, month - 1), undefined);
    const email = tokens.alias('email', 'someone@example.test');
    await client.leaseForSeal(acme, [{ scope: person(token), aliases: [email] }]);
    assert.deepEqual(await client.resolvePersons(acme, [email, tokens.person('x')]), [[token], []]);
  });
});
