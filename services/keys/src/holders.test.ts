import assert from 'node:assert/strict';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { ErasureId, TenantId, Token } from '@lethe/platform/ids/ids.ts';
import { createHandClock, type HandClock } from '@lethe/platform/testing/hand-clock.ts';
import { createHolders, type HolderName, type Holders } from './holders.ts';
import type { Revocation } from './revocation.ts';

const leaseTtlMs = 30_000;
const erasureId = '00000000-0000-4000-8000-000000000001' as ErasureId;
const tickets: HolderName = { service: 'tickets', holderId: 'one' };
const usage: HolderName = { service: 'usage', holderId: 'one' };
const erasure = {
  tenantId: 'acme' as TenantId,
  erasureId,
  scopes: [{ scope: { kind: 'person', token: 'ab'.repeat(16) as Token } as const, incarnation: 1 }],
};

/** Reads what is queued without waiting for more. */
async function read(watch: AsyncIterator<Revocation>, count: number): Promise<bigint[]> {
  const ids: bigint[] = [];
  while (ids.length < count) {
    const next = await watch.next();
    if (next.done === true) break;
    ids.push(next.value.revocationId);
  }
  return ids;
}

describe('holders', () => {
  let clock: HandClock;
  let holders: Holders;
  let leaving: AbortController;
  const watch = (holder: HolderName): AsyncIterator<Revocation> =>
    holders.watch(holder, leaving.signal)[Symbol.asyncIterator]();
  const since = (atMs: number) => ({ kind: 'since', atMs });
  const waiting = (count: number) => ({ kind: 'waiting', holders: count });

  beforeEach(() => {
    clock = createHandClock();
    leaving = new AbortController();
    holders = createHolders({ clock, leaseTtlMs, formerLeasesMs: 0 });
  });

  it('says "registered" first, then pushes', async () => {
    const reader = watch(tickets);
    holders.revoke(erasure);
    assert.deepEqual(await read(reader, 2), [0n, 1n]);
  });

  it('lets nobody lease who is not watching', async () => {
    const unregistered = (error: unknown): boolean =>
      error instanceof ServiceError && error.reason === 'HOLDER_UNREGISTERED';
    assert.throws(() => holders.noteLease(tickets), unregistered);
    await read(watch(tickets), 1);
    holders.noteLease(tickets);
    assert.throws(() => holders.noteLease(usage), unregistered);
    leaving.abort();
    assert.throws(() => holders.noteLease(tickets), unregistered);
  });

  it('waits for the acknowledgement of every holder that may have a key', async () => {
    watch(tickets);
    watch(usage);
    holders.noteLease(tickets);
    holders.noteLease(usage);
    holders.revoke(erasure);
    assert.deepEqual(holders.unreadable(erasureId), waiting(2));
    clock.advance(5);
    holders.acknowledge(tickets, 1n);
    assert.deepEqual(holders.unreadable(erasureId), waiting(1));
    clock.advance(5);
    holders.acknowledge(usage, 1n);
    const endedMs = clock.nowMs();
    clock.advance(1_000);
    assert.deepEqual(
      holders.unreadable(erasureId),
      since(endedMs),
      'the last one, not the question',
    );
  });

  it('takes no acknowledgement of another revocation or another holder', async () => {
    watch(tickets);
    holders.noteLease(tickets);
    holders.revoke(erasure);
    holders.acknowledge(tickets, 2n);
    holders.acknowledge(usage, 1n);
    assert.deepEqual(holders.unreadable(erasureId), waiting(1));
  });

  it('waits no longer than the last lease lives', async () => {
    watch(tickets);
    holders.noteLease(tickets);
    const endsMs = clock.nowMs() + leaseTtlMs;
    clock.advance(1_000);
    holders.revoke(erasure);
    clock.advance(leaseTtlMs - 1_001);
    assert.deepEqual(holders.unreadable(erasureId), waiting(1));
    clock.advance(1);
    assert.deepEqual(holders.unreadable(erasureId), since(endsMs));
    clock.advance(60_000);
    assert.deepEqual(holders.unreadable(erasureId), since(endsMs));
  });

  it('waits for leases given right before, and does not for holders without any', async () => {
    watch(tickets);
    const revokedMs = clock.nowMs();
    holders.revoke(erasure);
    assert.deepEqual(holders.unreadable(erasureId), since(revokedMs));
  });

  it('still waits for a holder whose watch broke, and pushes again when it comes back', async () => {
    await read(watch(tickets), 1);
    holders.noteLease(tickets);
    leaving.abort();
    holders.revoke(erasure);
    assert.deepEqual(holders.unreadable(erasureId), waiting(1));
    leaving = new AbortController();
    const again = watch(tickets);
    assert.deepEqual(holders.unreadable(erasureId), waiting(1), 'registering acknowledges nothing');
    assert.deepEqual(await read(again, 2), [0n, 1n]);
    holders.acknowledge(tickets, 1n);
    assert.equal(holders.unreadable(erasureId)?.kind, 'since');
  });

  it('waits for leases that a holder had before it registered again', async () => {
    watch(tickets);
    holders.noteLease(tickets);
    watch(tickets);
    holders.revoke(erasure);
    assert.deepEqual(holders.unreadable(erasureId), waiting(1));
  });

  it('ends the former watch of a holder that registers again', async () => {
    const former = watch(tickets);
    watch(tickets);
    assert.deepEqual(await read(former, 2), [0n]);
  });

  it('waits for the leases of a former process by the longest TTL', async () => {
    holders = createHolders({ clock, leaseTtlMs, formerLeasesMs: 60_000 });
    const endsMs = clock.nowMs() + 60_000;
    clock.advance(10_000);
    holders.revoke(erasure);
    assert.deepEqual(holders.unreadable(erasureId), waiting(1));
    clock.advance(50_000);
    assert.deepEqual(holders.unreadable(erasureId), since(endsMs));
  });

  it('counts durations, so that a wall clock that jumps ends nothing early', async () => {
    watch(tickets);
    holders.noteLease(tickets);
    holders.revoke(erasure);
    clock.jumpWall(3_600_000);
    assert.deepEqual(holders.unreadable(erasureId), waiting(1));
  });

  it('revokes an erasure once', async () => {
    const reader = watch(tickets);
    holders.noteLease(tickets);
    holders.revoke(erasure);
    holders.acknowledge(tickets, 1n);
    holders.revoke(erasure);
    assert.equal(holders.unreadable(erasureId)?.kind, 'since');
    holders.close();
    assert.deepEqual(await read(reader, 3), [0n, 1n]);
  });

  it('knows nothing of an erasure that it has not revoked, or no longer', () => {
    assert.equal(holders.unreadable(erasureId), undefined);
    holders.revoke(erasure);
    holders.settled(erasureId);
    assert.equal(holders.unreadable(erasureId), undefined);
  });

  it('closed, ends every watch and takes no holder any more', async () => {
    const reader = watch(tickets);
    holders.close();
    assert.deepEqual(await read(reader, 2), [0n]);
    assert.throws(() => watch(tickets), ServiceError);
    assert.throws(() => holders.noteLease(tickets), ServiceError);
  });

  it('cuts off a holder that reads nothing', async () => {
    const reader = watch(tickets);
    for (let index = 0; index <= 10_000; index += 1) {
      holders.revoke({ ...erasure, erasureId: `${index}` as ErasureId });
    }
    assert.throws(() => holders.noteLease(tickets), ServiceError);
    const ids = await read(reader, 20_000);
    assert.ok(ids.length <= 10_001);
  });
});
