import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { Scope, TenantId, Token } from '@lethe/platform/ids/ids.ts';
import { tokenFromBytes } from '@lethe/platform/ids/ids.ts';
import { commitmentOf } from '@lethe/platform/sealing/data-key.ts';
import { type ServiceName, serviceNames } from '@lethe/proto/access.ts';
import {
  LeaseStatus,
  ReturningPersons,
  type ScopeLease,
} from '@lethe/proto/gen/lethe/keys/v1/service.ts';
import { factsKeySealsMs, messagesPerKeyMax } from '../domain/generations.ts';
import { createKeysCaller, createTenant, fence, type KeysCaller } from '../testing/keys-caller.ts';
import {
  createKeysWorld,
  type KeysWorld,
  type RunningKeys,
  someToken,
  startKeys,
  tenantNamed,
} from '../testing/keys-under-test.ts';

const {
  LEASE_STATUS_GRANTED: granted,
  LEASE_STATUS_ERASED: erased,
  LEASE_STATUS_UNKNOWN_TICKET: unknownTicket,
  LEASE_STATUS_UNKNOWN_KEY: unknownKey,
  LEASE_STATUS_OWNER_FENCED: ownerFenced,
} = LeaseStatus;

const facts: Scope = { kind: 'facts' };
const person = (token: Token): Scope => ({ kind: 'person', token });
const ticket = (token: Token): Scope => ({ kind: 'ticket', token });

const hasReason = (reason: string) => (error: unknown) =>
  error instanceof ServiceError && error.reason === reason;

function only(leases: readonly ScopeLease[]): ScopeLease {
  const [first, ...others] = leases;
  assert.ok(first !== undefined && others.length === 0);
  return first;
}

describe('Lease', () => {
  const acme = tenantNamed('acme');
  const strict = tenantNamed('strict');
  let world: KeysWorld;
  let keys: RunningKeys;
  let tickets: KeysCaller;

  const callerOf = async (service: ServiceName, tenantId: TenantId = acme): Promise<KeysCaller> => {
    const caller = createKeysCaller(keys, service, tenantId);
    await caller.register();
    return caller;
  };
  const owner = (): { token: Token; incarnation: number } => ({
    token: someToken(),
    incarnation: 1,
  });
  const erase = (persons: readonly Token[], tenantId: TenantId = acme) =>
    fence(keys, { tenantId, erasureId: randomUUID(), persons, cutOffMs: world.clock.nowMs() });

  before(async function () {
    this.timeout(60_000);
    world = await createKeysWorld('keys-lease');
    keys = await startKeys(world);
    await createTenant(keys, acme);
    await createTenant(keys, strict, ReturningPersons.RETURNING_PERSONS_REFUSE);
    tickets = await callerOf('tickets');
  });
  after(async () => {
    await keys.stop();
    await world.remove();
  });

  describe('to seal', () => {
    it('makes one key per scope and gives the same one again', async () => {
      const scopes = [facts, person(someToken()), ticket(someToken())].map((scope) => ({
        scope,
        ...(scope.kind === 'ticket' ? { owner: owner() } : {}),
      }));
      const first = await tickets.seal(...scopes);
      const again = await tickets.seal(...scopes);
      for (const [index, lease] of first.entries()) {
        assert.equal(lease.status, granted);
        assert.equal(lease.incarnation, 1);
        assert.deepEqual(lease.keyId, commitmentOf(lease.dataKey));
        assert.deepEqual(again[index]?.dataKey, lease.dataKey);
        assert.deepEqual(again[index]?.digestKey, lease.digestKey);
        assert.notDeepEqual(lease.digestKey, lease.dataKey);
      }
      assert.equal(new Set(first.map(({ keyId }) => keyId.toString('hex'))).size, 3);
    });

    it('answers in the order of the request, also for a scope that comes twice', async () => {
      const [a, b] = [person(someToken()), person(someToken())];
      const [first, second, third] = await tickets.seal(
        { scope: a, messages: 5 },
        { scope: b, messages: 7 },
        { scope: a, messages: 9 },
      );
      assert.deepEqual(first?.keyId, third?.keyId);
      assert.notDeepEqual(first?.keyId, second?.keyId);
      assert.deepEqual(
        [first, second, third].map((lease) => lease?.claimedMessages),
        [5, 7, 9],
      );
    });

    it('makes a ticket key only for who creates the ticket, and says whose it is', async () => {
      const scope = ticket(someToken());
      assert.equal(only(await tickets.seal({ scope })).status, unknownTicket);
      const requester = owner();
      const created = only(await tickets.seal({ scope, owner: requester }));
      assert.equal(created.status, granted);
      const later = only(await tickets.seal({ scope }));
      assert.deepEqual(later.dataKey, created.dataKey);
      assert.equal(tokenFromBytes(later.ownerToken), requester.token);
      assert.equal(later.ownerIncarnation, 1);
      const claimedByOther = only(await tickets.seal({ scope, owner: owner() }));
      assert.equal(tokenFromBytes(claimedByOther.ownerToken), requester.token);
    });

    it('makes one key however many ask for it at once', async () => {
      const scope = person(someToken());
      const leases = await Promise.all(Array.from({ length: 50 }, () => tickets.seal({ scope })));
      assert.equal(new Set(leases.map((lease) => only(lease).keyId.toString('hex'))).size, 1);
    });
  });

  describe('caps', () => {
    it('goes to the next generation when the messages would be too many', async () => {
      const scope = person(someToken());
      const half = messagesPerKeyMax / 2;
      const first = only(await tickets.seal({ scope, messages: half }));
      assert.deepEqual(only(await tickets.seal({ scope, messages: half })).keyId, first.keyId);
      const next = only(await tickets.seal({ scope, messages: 1 }));
      assert.equal(next.generation, 2);
      assert.notDeepEqual(next.keyId, first.keyId);
      assert.deepEqual(next.digestKey, first.digestKey, 'the digest key is never rotated');
    });

    it('goes to the next generation when the bytes would be too many', async () => {
      const scope = person(someToken());
      await tickets.seal({ scope, bytes: 2 ** 36 });
      assert.equal(only(await tickets.seal({ scope, bytes: 0, messages: 1 })).generation, 1);
      assert.equal(only(await tickets.seal({ scope, bytes: 1 })).generation, 2);
    });

    it('holds across a restart, because claims are stored before they are given', async () => {
      const scope = person(someToken());
      const first = only(await tickets.seal({ scope, messages: messagesPerKeyMax }));
      await keys.stop();
      keys = await startKeys(world);
      tickets = await callerOf('tickets');
      const next = only(await tickets.seal({ scope, messages: 1 }));
      assert.equal(next.generation, first.generation + 1);
    });

    it('never gives more than the cap to many at once', async () => {
      const scope = person(someToken());
      const eighth = messagesPerKeyMax / 8;
      const leases = await Promise.all(
        Array.from({ length: 20 }, () => tickets.seal({ scope, messages: eighth })),
      );
      const byKey = Map.groupBy(leases.map(only), ({ keyId }) => keyId.toString('hex'));
      for (const sealed of byKey.values()) assert.ok(sealed.length <= 8);
      assert.equal(byKey.size, 3);
    });

    it('ends a facts key with its day, and no other', async () => {
      const globex = tenantNamed('globex');
      await createTenant(keys, globex);
      const caller = createKeysCaller(keys, 'tickets', globex, 'tickets-of-globex');
      await caller.register();
      const wishes = [{ scope: facts }, { scope: person(someToken()) }];
      const [before] = await caller.seal(...wishes);
      world.clock.advance(factsKeySealsMs);
      const [after, sameDayOrNot] = await caller.seal(...wishes);
      assert.equal(after?.generation, 2);
      assert.notDeepEqual(after.keyId, before?.keyId);
      assert.deepEqual(after.digestKey, before?.digestKey);
      assert.equal(sameDayOrNot?.generation, 1);
    });

    it('refuses a claim that no key could hold', async () => {
      const wish = { scope: facts, messages: messagesPerKeyMax + 1 };
      await assert.rejects(tickets.seal(wish), hasReason('INVALID_FIELDS'));
      await assert.rejects(
        tickets.seal({ scope: facts, bytes: 2 ** 36 + 1 }),
        hasReason('INVALID_FIELDS'),
      );
    });
  });

  describe('to open', () => {
    it('finds each generation by its key id', async () => {
      const scope = person(someToken());
      const generations = [];
      for (let index = 0; index < 3; index += 1) {
        generations.push(only(await tickets.seal({ scope, messages: messagesPerKeyMax })));
      }
      const opened = await tickets.open(
        ...generations.map(({ keyId, incarnation }) => ({ scope, incarnation, keyId })),
      );
      assert.deepEqual(
        opened.map(({ dataKey }) => dataKey),
        generations.map(({ dataKey }) => dataKey),
      );
      assert.deepEqual(
        opened.map(({ generation }) => generation),
        [1, 2, 3],
      );
    });

    it('says unknown key, never erased, where nothing was erased', async () => {
      const scope = person(someToken());
      const { keyId } = only(await tickets.seal({ scope }));
      const wishes = [
        { scope, incarnation: 1, keyId: randomBytes(16) },
        // Same start of the key id.
        { scope, incarnation: 1, keyId: Buffer.concat([keyId.subarray(0, 2), randomBytes(14)]) },
        { scope, incarnation: 2, keyId },
        { scope: person(someToken()), incarnation: 1, keyId },
        { scope: ticket(someToken()), incarnation: 1, keyId },
      ];
      for (const lease of await tickets.open(...wishes)) assert.equal(lease.status, unknownKey);
    });

    it('keeps tenants apart', async () => {
      const scope = person(someToken());
      const { keyId } = only(await tickets.seal({ scope }));
      const ofStrict = createKeysCaller(keys, 'tickets', strict);
      const lease = only(await ofStrict.open({ scope, incarnation: 1, keyId }));
      assert.equal(lease.status, unknownKey);
      assert.equal(lease.dataKey.length, 0);
    });
  });

  describe('after an erasure', () => {
    it('opens nothing of the person and their tickets any more', async () => {
      const requester = owner();
      const scopes = [person(requester.token), ticket(someToken()), ticket(someToken())];
      const sealed = await tickets.seal(
        ...scopes.map((scope) => ({
          scope,
          ...(scope.kind === 'ticket' ? { owner: requester } : {}),
        })),
      );
      await erase([requester.token]);
      const opened = await tickets.open(
        ...sealed.map(({ keyId }, index) => ({
          scope: scopes[index] ?? facts,
          incarnation: 1,
          keyId,
        })),
      );
      for (const lease of opened) {
        assert.equal(lease.status, erased);
        assert.equal(lease.incarnation, 1);
        assert.equal(lease.dataKey.length, 0);
        assert.equal(lease.digestKey.length, 0);
      }
    });

    it('gives a returning person a new incarnation with new keys, and says the cut-off', async () => {
      const token = someToken();
      const before = only(await tickets.seal({ scope: person(token) }));
      assert.equal(before.fenceCutOff, undefined);
      const cutOffMs = world.clock.nowMs();
      await erase([token]);
      const after = only(await tickets.seal({ scope: person(token) }));
      assert.equal(after.status, granted);
      assert.equal(after.incarnation, 2);
      assert.equal(after.generation, 1);
      assert.notDeepEqual(after.dataKey, before.dataKey);
      assert.notDeepEqual(after.digestKey, before.digestKey);
      assert.equal(after.fenceCutOff?.getTime(), cutOffMs);
      const { keyId } = after;
      const opened = only(await tickets.open({ scope: person(token), incarnation: 2, keyId }));
      assert.deepEqual(opened.dataKey, after.dataKey);
    });

    it('refuses a returning person where the tenant wants it so', async () => {
      const caller = createKeysCaller(keys, 'tickets', strict);
      const token = someToken();
      await caller.seal({ scope: person(token) });
      await erase([token], strict);
      const lease = only(await caller.seal({ scope: person(token) }));
      assert.equal(lease.status, erased);
      assert.equal(lease.incarnation, 1);
    });

    it('refuses an erased ticket for ever, also to who would create it', async () => {
      const requester = owner();
      const scope = ticket(someToken());
      await tickets.seal({ scope, owner: requester });
      await erase([requester.token]);
      assert.equal(only(await tickets.seal({ scope })).status, erased);
      const returned = { token: requester.token, incarnation: 2 };
      assert.equal(only(await tickets.seal({ scope, owner: returned })).status, erased);
    });

    it('creates no ticket for a fenced incarnation, and one for the next', async () => {
      const requester = owner();
      await tickets.seal({ scope: person(requester.token) });
      await erase([requester.token]);
      const scope = ticket(someToken());
      const refused = only(await tickets.seal({ scope, owner: requester }));
      assert.equal(refused.status, ownerFenced);
      assert.equal(refused.dataKey.length, 0);
      const returned = { token: requester.token, incarnation: 2 };
      assert.equal(only(await tickets.seal({ scope, owner: returned })).status, granted);
    });
  });

  describe('aliases', () => {
    it('lead to their person', async () => {
      const [natural, email] = [someToken(), someToken()];
      const first = only(await tickets.seal({ scope: person(natural), aliases: [email] }));
      const byAlias = only(await tickets.seal({ scope: person(email) }));
      assert.equal(tokenFromBytes(byAlias.token), natural);
      assert.deepEqual(byAlias.dataKey, first.dataKey);
    });

    it('that persons share leave them separate', async () => {
      const [one, other, email] = [someToken(), someToken(), someToken()];
      const first = only(await tickets.seal({ scope: person(one), aliases: [email] }));
      const second = only(await tickets.seal({ scope: person(other), aliases: [email] }));
      assert.notDeepEqual(first.keyId, second.keyId);
      const byAlias = only(await tickets.seal({ scope: person(email) }));
      assert.equal(tokenFromBytes(byAlias.token), email, 'nobody is guessed');
    });

    it('do not take a person over who has a key of their own', async () => {
      const [one, other] = [someToken(), someToken()];
      const own = only(await tickets.seal({ scope: person(other) }));
      await tickets.seal({ scope: person(one), aliases: [other] });
      const again = only(await tickets.seal({ scope: person(other) }));
      assert.deepEqual(again.keyId, own.keyId);
    });

    it('of a refused person are not registered', async () => {
      const caller = createKeysCaller(keys, 'tickets', strict);
      const [natural, email] = [someToken(), someToken()];
      await erase([natural], strict);
      await caller.seal({ scope: person(natural), aliases: [email] });
      const byAlias = only(await caller.seal({ scope: person(email) }));
      assert.equal(tokenFromBytes(byAlias.token), email);
    });

    it('lead an erased person to their fence', async () => {
      const [natural, email] = [someToken(), someToken()];
      await tickets.seal({ scope: person(natural), aliases: [email] });
      await erase([natural]);
      const byAlias = only(await tickets.seal({ scope: person(email) }));
      assert.equal(tokenFromBytes(byAlias.token), natural);
      assert.equal(byAlias.incarnation, 2);
      assert.ok(byAlias.fenceCutOff !== undefined);
    });
  });

  describe('guards', () => {
    const uses = ['seal', 'create', 'open'] as const;
    const kinds = ['facts', 'ticket', 'person'] as const;
    const allowed = new Set([
      ...['tickets', 'predictions', 'usage'].flatMap((service) =>
        ['facts', 'person'].flatMap((kind) => [
          `${service} seal ${kind}`,
          `${service} open ${kind}`,
        ]),
      ),
      ...['seal', 'create', 'open'].map((use) => `tickets ${use} ticket`),
      ...['seal', 'open'].map((use) => `predictions ${use} ticket`),
      'analytics open facts',
      'privacy open person',
    ]);

    for (const service of serviceNames.filter((name) => name !== 'keys')) {
      for (const kind of kinds) {
        for (const use of uses) {
          if (use === 'create' && kind !== 'ticket') continue;
          const cell = `${service} ${use} ${kind}`;
          const may = allowed.has(cell);
          it(`${cell}: ${may ? 'yes' : 'no'}`, async () => {
            const caller = await callerOf(service);
            const scope = kind === 'facts' ? facts : { kind, token: someToken() };
            const asked =
              use === 'open'
                ? caller.open({ scope, incarnation: 1, keyId: randomBytes(16) })
                : caller.seal({ scope, ...(use === 'create' ? { owner: owner() } : {}) });
            if (may) assert.equal((await asked).length, 1);
            else await assert.rejects(asked, hasReason('SCOPE_NOT_ALLOWED'));
          });
        }
      }
    }

    it('leases nothing to a holder that is not registered', async () => {
      const stranger = createKeysCaller(keys, 'tickets', acme, 'stranger');
      await assert.rejects(stranger.seal({ scope: facts }), hasReason('HOLDER_UNREGISTERED'));
      // The same id in another service is another holder.
      const impostor = createKeysCaller(keys, 'usage', acme, tickets.holderId);
      await assert.rejects(impostor.seal({ scope: facts }), hasReason('HOLDER_UNREGISTERED'));
    });

    it('leases nothing of an unknown tenant', async () => {
      const caller = createKeysCaller(keys, 'tickets', tenantNamed('nobody'));
      await assert.rejects(caller.seal({ scope: facts }), hasReason('TENANT_UNKNOWN'));
    });

    it('names every broken field', async () => {
      const bad = { scope: ticket(someToken()), aliases: [someToken()] };
      const named = (error: unknown): boolean =>
        error instanceof ServiceError &&
        error.violations.some(({ field }) => field === 'scopes[1].alias_tokens');
      await assert.rejects(tickets.seal({ scope: facts }, bad), named);
      await assert.rejects(
        tickets.open({ scope: facts, incarnation: 1, keyId: randomBytes(15) }),
        hasReason('INVALID_FIELDS'),
      );
    });
  });
});
