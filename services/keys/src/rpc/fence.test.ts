import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import { type Scope, type Token, tokenBytes, tokenFromBytes } from '@lethe/platform/ids/ids.ts';
import {
  FenceRequest,
  type FenceResponse,
  KeyServiceService,
  LeaseStatus,
  PreviewFenceRequest,
  ReturningPersons,
  type ScopeLease,
} from '@lethe/proto/gen/lethe/keys/v1/service.ts';
import { createKeysCaller, createTenant, fence, type KeysCaller } from '../testing/keys-caller.ts';
import {
  createKeysWorld,
  type KeysWorld,
  type RunningKeys,
  someToken,
  startKeys,
  tenantNamed,
} from '../testing/keys-under-test.ts';

const person = (token: Token): Scope => ({ kind: 'person', token });
const ticket = (token: Token): Scope => ({ kind: 'ticket', token });
const { LEASE_STATUS_ERASED: erased, LEASE_STATUS_GRANTED: granted } = LeaseStatus;
const hasReason = (reason: string) => (error: unknown) =>
  error instanceof ServiceError && error.reason === reason;

describe('Fence', () => {
  const acme = tenantNamed('acme');
  const strict = tenantNamed('strict');
  let world: KeysWorld;
  let keys: RunningKeys;
  let tickets: KeysCaller;

  const seal = async (scope: Scope, owner?: { token: Token; incarnation: number }) => {
    const [lease] = await tickets.seal({ scope, ...(owner === undefined ? {} : { owner }) });
    assert.ok(lease !== undefined);
    return lease;
  };
  const open = async (scope: Scope, { incarnation, keyId }: ScopeLease) => {
    const [lease] = await tickets.open({ scope, incarnation, keyId });
    assert.ok(lease !== undefined);
    return lease;
  };
  const erase = (persons: readonly Token[], erasureId: string = randomUUID()) =>
    fence(keys, { tenantId: acme, erasureId, persons, cutOffMs: world.clock.nowMs() });
  const listOf = ({ scopes }: FenceResponse) =>
    scopes.map(({ kind, token, incarnation }) => [kind, tokenFromBytes(token), incarnation]);
  before(async function () {
    this.timeout(60_000);
    world = await createKeysWorld('keys-fence');
    keys = await startKeys(world);
    await createTenant(keys, acme);
    await createTenant(keys, strict, ReturningPersons.RETURNING_PERSONS_REFUSE);
    tickets = createKeysCaller(keys, 'tickets', acme);
    await tickets.register();
  });
  after(async () => {
    await keys.stop();
    await world.remove();
  });

  it('answers the persons, then every ticket they own, each kind ascending', async () => {
    const persons = [someToken(), someToken()];
    const owned = [someToken(), someToken(), someToken()];
    for (const [index, token] of owned.entries()) {
      await seal(ticket(token), { token: persons[index % 2] ?? someToken(), incarnation: 1 });
    }
    await seal(ticket(someToken()), { token: someToken(), incarnation: 1 });
    await seal(person(persons[0] ?? someToken()));
    const answer = await erase([...persons, ...persons]);
    assert.deepEqual(listOf(answer), [
      ...persons.toSorted().map((token) => [3, token, 1]),
      ...owned.toSorted().map((token) => [2, token, 1]),
    ]);
    assert.equal(answer.keysDestroyed, 4);
    assert.equal(answer.fencedAt?.getTime(), world.clock.nowMs());
  });

  it('fences tickets that are named alone, and leaves their owner', async () => {
    const owner = { token: someToken(), incarnation: 1 };
    const [erasedTicket, kept] = [someToken(), someToken()];
    const sealed = await seal(ticket(erasedTicket), owner);
    await seal(ticket(kept), owner);
    const answer = await fence(keys, {
      tenantId: acme,
      erasureId: randomUUID(),
      tickets: [erasedTicket],
      cutOffMs: world.clock.nowMs(),
    });
    assert.deepEqual(listOf(answer), [[2, erasedTicket, 1]]);
    assert.equal((await open(ticket(erasedTicket), sealed)).status, erased);
    assert.equal((await seal(ticket(kept))).status, granted);
    assert.equal((await seal(ticket(someToken()), owner)).status, granted);
  });

  it('repeated, answers the stored list and touches nothing', async () => {
    const token = someToken();
    const erasureId = randomUUID();
    await seal(person(token));
    const first = await erase([token], erasureId);
    const returned = await seal(person(token));
    assert.equal(returned.incarnation, 2);
    world.clock.advance(1_000);
    assert.deepEqual(await erase([token, someToken()], erasureId), first);
    assert.deepEqual((await open(person(token), returned)).dataKey, returned.dataKey);
  });

  it('called many times at once, is done once', async () => {
    const token = someToken();
    const erasureId = randomUUID();
    await seal(person(token));
    const answers = await Promise.all(Array.from({ length: 10 }, () => erase([token], erasureId)));
    for (const answer of answers) assert.deepEqual(answer, answers[0]);
    assert.equal(answers[0]?.keysDestroyed, 1);
    assert.equal((await seal(person(token))).incarnation, 2);
  });

  it('keeps two erasures of one person apart', async () => {
    const token = someToken();
    await seal(person(token));
    const first = await erase([token]);
    const returned = await seal(person(token));
    const second = await erase([token]);
    assert.deepEqual(
      [first, second].map((answer) => answer.scopes[0]?.incarnation),
      [1, 2],
    );
    assert.equal((await open(person(token), returned)).status, erased);
    assert.equal((await seal(person(token))).incarnation, 3);
  });

  it('fences a person whom nobody has seen yet', async () => {
    const token = someToken();
    assert.deepEqual(listOf(await erase([token])), [[3, token, 1]]);
    assert.equal((await seal(person(token))).incarnation, 2);
  });

  it('does not reach another tenant', async () => {
    const token = someToken();
    const other = createKeysCaller(keys, 'tickets', strict);
    const [before] = await other.seal({ scope: person(token) });
    await erase([token]);
    const [after] = await other.seal({ scope: person(token) });
    assert.deepEqual(after?.keyId, before?.keyId);
  });

  it('previews the same list and changes nothing', async () => {
    const owner = { token: someToken(), incarnation: 1 };
    const own = await seal(person(owner.token));
    await seal(ticket(someToken()), owner);
    const preview = await keys
      .peersOf('privacy')('keys')
      .unary(
        KeyServiceService.previewFence,
        PreviewFenceRequest.fromPartial({
          tenantId: acme,
          personTokens: [tokenBytes(owner.token)],
        }),
      );
    assert.equal(preview.keysToDestroy, 2);
    assert.deepEqual((await seal(person(owner.token))).keyId, own.keyId);
    assert.deepEqual((await erase([owner.token])).scopes, preview.scopes);
  });

  it('law: in whatever order leases, ticket creations and fences come, nothing fenced opens', async function () {
    this.timeout(60_000);
    const step = fc.constantFrom('person', 'ticket', 'fence', 'open');
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 12 }), async (steps) => {
        const token = someToken();
        const sealed: { scope: Scope; lease: ScopeLease }[] = [];
        const answers: FenceResponse[] = [];
        const run = async (name: (typeof steps)[number]): Promise<void> => {
          if (name === 'fence') {
            answers.push(await erase([token]));
          } else if (name === 'person') {
            sealed.push({ scope: person(token), lease: await seal(person(token)) });
          } else if (name === 'ticket') {
            const { incarnation } = await seal(person(token));
            const scope = ticket(someToken());
            const lease = await seal(scope, { token, incarnation });
            if (lease.status === granted) sealed.push({ scope, lease });
          }
        };
        // All at once: the database decides the order.
        await Promise.all(steps.map(run));
        const fenced = Math.max(0, ...answers.map(({ scopes }) => scopes[0]?.incarnation ?? 0));
        assert.equal(fenced, answers.length);
        for (const { scope, lease } of sealed) {
          const owner = scope.kind === 'ticket' ? lease.ownerIncarnation : lease.incarnation;
          const after = await open(scope, lease);
          assert.equal(after.status, owner <= fenced ? erased : granted);
        }
      }),
      { numRuns: 40 },
    );
  });

  it('names broken fields', async () => {
    const privacy = keys.peersOf('privacy')('keys');
    const request = FenceRequest.fromPartial({
      tenantId: acme,
      erasureId: randomUUID(),
      personTokens: [Buffer.alloc(3)],
    });
    await assert.rejects(
      privacy.unary(KeyServiceService.fence, request),
      (error: unknown) =>
        error instanceof ServiceError &&
        error.violations.map(({ field }) => field).join() === 'person_tokens[0],cut_off',
    );
    const unknown = FenceRequest.fromPartial({
      ...request,
      tenantId: 'nobody',
      personTokens: [],
      cutOff: new Date(0),
    });
    await assert.rejects(
      privacy.unary(KeyServiceService.fence, unknown),
      hasReason('TENANT_UNKNOWN'),
    );
  });
});
