import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import { type Token, tokenFromBytes } from '@lethe/platform/ids/ids.ts';
import { KeyServiceService } from '@lethe/proto/gen/lethe/keys/v1/service.ts';
import { createKeysCaller, createTenant, fence, type KeysCaller } from '../testing/keys-caller.ts';
import {
  createKeysWorld,
  type KeysWorld,
  type RunningKeys,
  someToken,
  startKeys,
  tenantNamed,
} from '../testing/keys-under-test.ts';

describe('WatchRevocations, AcknowledgeRevocation, UnreadableStatus', () => {
  const acme = tenantNamed('acme');
  let world: KeysWorld;
  let keys: RunningKeys;
  let tickets: KeysCaller;
  let usage: KeysCaller;

  const register = async (): Promise<void> => {
    tickets = createKeysCaller(keys, 'tickets', acme);
    usage = createKeysCaller(keys, 'usage', acme);
    await Promise.all([tickets.register(), usage.register()]);
  };
  const erase = async (token: Token): Promise<string> => {
    const erasureId = randomUUID();
    const cutOffMs = world.clock.nowMs();
    await fence(keys, { tenantId: acme, erasureId, persons: [token], cutOffMs });
    return erasureId;
  };
  const statusOf = (erasureId: string) =>
    keys
      .peersOf('privacy')('keys')
      .unary(KeyServiceService.unreadableStatus, { tenantId: acme, erasureId });
  const until = async (isTrue: () => boolean): Promise<void> => {
    while (!isTrue()) await new Promise((resolve) => setTimeout(resolve, 2));
  };

  before(async function () {
    this.timeout(60_000);
    world = await createKeysWorld('keys-revocations');
    keys = await startKeys(world);
    await createTenant(keys, acme);
  });
  beforeEach(register);
  after(async () => {
    await keys.stop();
    await world.remove();
  });

  it('pushes what was fenced to every holder, and waits for each that may have a key', async () => {
    const token = someToken();
    await tickets.seal({ scope: { kind: 'person', token } });
    await usage.seal({ scope: { kind: 'facts' } });
    const erasureId = await erase(token);
    await until(() => tickets.pushed.length > 0 && usage.pushed.length > 0);
    const [push] = tickets.pushed;
    assert.deepEqual(push, usage.pushed[0]);
    assert.equal(push?.tenantId, acme);
    assert.deepEqual(
      push.scopes.map((scope) => [scope.kind, tokenFromBytes(scope.token), scope.incarnation]),
      [[3, token, 1]],
    );
    assert.deepEqual(await statusOf(erasureId), { unreadableAt: undefined, holdersWaiting: 2 });
    await tickets.acknowledge(push.revocationId);
    assert.equal((await statusOf(erasureId)).holdersWaiting, 1);
    world.clock.advance(7);
    await usage.acknowledge(push.revocationId);
    const unreadableAt = new Date(world.clock.nowMs());
    world.clock.advance(1_000);
    assert.deepEqual(await statusOf(erasureId), { unreadableAt, holdersWaiting: 0 });
    assert.deepEqual(await statusOf(erasureId), { unreadableAt, holdersWaiting: 0 });
  });

  it('ends with the TTL of the last lease when a holder says nothing', async () => {
    const token = someToken();
    await tickets.seal({ scope: { kind: 'person', token } });
    const unreadableAt = new Date(world.clock.nowMs() + 30_000);
    const erasureId = await erase(token);
    await until(() => tickets.pushed.length > 0);
    tickets.leave();
    world.clock.advance(29_999);
    assert.equal((await statusOf(erasureId)).unreadableAt, undefined);
    world.clock.advance(1);
    assert.deepEqual(await statusOf(erasureId), { unreadableAt, holdersWaiting: 0 });
  });

  it('gives no lease to a holder that left', async () => {
    tickets.leave();
    await new Promise((resolve) => setImmediate(resolve));
    await assert.rejects(
      tickets.seal({ scope: { kind: 'facts' } }),
      (error: unknown) => error instanceof ServiceError && error.reason === 'HOLDER_UNREGISTERED',
    );
  });

  it('knows no erasure that was not fenced', async () => {
    await assert.rejects(
      statusOf(randomUUID()),
      (error: unknown) => error instanceof ServiceError && error.reason === 'ERASURE_UNKNOWN',
    );
  });

  it('after a restart waits for what the former process leased, by the longest TTL', async () => {
    const token = someToken();
    await tickets.seal({ scope: { kind: 'person', token } });
    const erasureId = await erase(token);
    await keys.stop();
    keys = await startKeys(world, { holdersEndWithProcess: false });
    const startedMs = world.clock.nowMs();
    await register();
    assert.equal((await statusOf(erasureId)).unreadableAt, undefined);
    for (const push of tickets.pushed) await tickets.acknowledge(push.revocationId);
    assert.equal((await statusOf(erasureId)).unreadableAt, undefined, 'others may be alive');
    world.clock.advance(60_000);
    const { unreadableAt } = await statusOf(erasureId);
    assert.equal(unreadableAt?.getTime(), startedMs + 60_000);
  });

  it('after a restart pushes what the former process may have fenced without a push', async () => {
    const token = someToken();
    await tickets.seal({ scope: { kind: 'person', token } });
    const erasureId = await erase(token);
    await keys.stop();
    keys = await startKeys(world, { holdersEndWithProcess: true });
    await register();
    // The first look revokes, the second finds nobody to wait for.
    await statusOf(erasureId);
    assert.ok((await statusOf(erasureId)).unreadableAt !== undefined);
  });
});
