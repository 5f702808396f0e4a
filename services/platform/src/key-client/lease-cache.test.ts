import assert from 'node:assert/strict';
import { createSecretKey, randomBytes } from 'node:crypto';
import { ServiceError } from '../errors/service-error.ts';
import type { TenantId, Token } from '../ids/ids.ts';
import { createDataKey } from '../sealing/data-key.ts';
import { createHandClock } from '../testing/hand-clock.ts';
import { CachedLease, type GrantedKey, momentOf } from './cached-lease.ts';
import { LeaseCache } from './lease-cache.ts';

const ttlMs = 30_000;
const isOver = (error: unknown): boolean =>
  error instanceof ServiceError && error.reason === 'LEASE_EXPIRED';

describe('the lease cache', () => {
  const clock = createHandClock();
  const granted: GrantedKey = {
    tenantId: 'acme' as TenantId,
    scope: { kind: 'person', token: 'aa'.repeat(16) as Token },
    incarnation: 1,
    dataKey: createDataKey(randomBytes(32)),
    digestKey: createSecretKey(randomBytes(32)),
    owner: undefined,
    fenceCutOffMs: undefined,
  };

  it('drops keys whose lease is over when swept, and none that lives', () => {
    const cache = new LeaseCache(10);
    const lease = new CachedLease(granted, clock, momentOf(clock), ttlMs);
    cache.put('one', lease);
    clock.advance(ttlMs - 1);
    cache.sweep();
    assert.equal(lease.dataKey, granted.dataKey);
    clock.advance(1);
    cache.sweep();
    // Even a clock that was set back finds no key any more.
    clock.advance(-ttlMs);
    assert.throws(() => lease.dataKey, isOver);
    assert.throws(() => lease.digestKey, isOver);
    assert.ok(!lease.isEnded && cache.get('one') === lease, 'its claim is still there');
    lease.extend(granted, momentOf(clock), ttlMs, 0, 0n);
    assert.equal(lease.dataKey, granted.dataKey);
  });

  it('forgets leases that are over, the least recently used first, but for some', () => {
    const cache = new LeaseCache(100);
    const leases = Array.from({ length: 10 }, (_, index) => {
      const lease = new CachedLease(granted, clock, momentOf(clock), ttlMs);
      cache.put(`lease ${index}`, lease);
      return lease;
    });
    const kept = () => leases.flatMap((lease, index) => (lease.isEnded ? [] : [index]));
    clock.advance(ttlMs - 1);
    cache.sweep(3);
    assert.equal(kept().length, 10);
    leases[4]?.extend(granted, momentOf(clock), ttlMs, 0, 0n);
    cache.get('lease 4');
    clock.advance(1);
    cache.sweep(3);
    assert.deepEqual(kept(), [4, 8, 9]);
    assert.equal(cache.get('lease 0'), undefined);
    cache.sweep(0);
    assert.deepEqual(kept(), [4], 'one that is in use stays');
  });

  it('holds what lives and 5,000 more, however many scopes went by, and whatever their rate', () => {
    const cache = new LeaseCache(50_000);
    const held = new Set<CachedLease>();
    const sweepEveryMs = 5_000;
    let made = 0;
    for (const perSweep of [100, 1_000]) {
      for (let turn = 0; turn < 40; turn += 1) {
        for (let one = 0; one < perSweep; one += 1) {
          const lease = new CachedLease(granted, clock, momentOf(clock), ttlMs);
          held.add(lease);
          made += 1;
          cache.put(`lease ${made}`, lease);
        }
        clock.advance(sweepEveryMs);
        cache.sweep();
        for (const lease of held) if (lease.isEnded) held.delete(lease);
      }
      const living = (perSweep * ttlMs) / sweepEveryMs;
      assert.ok(held.size <= Math.max(living, 5_000), `${held.size} at ${perSweep} a sweep`);
    }
  });

  it('renews nothing that was revoked', () => {
    const cache = new LeaseCache(10);
    const lease = new CachedLease(granted, clock, momentOf(clock), ttlMs);
    cache.put('one', lease);
    cache.endScope(granted.tenantId, granted.scope, 1);
    assert.ok(lease.isEnded);
    assert.throws(() => lease.dataKey, isOver);
    assert.equal(cache.get('one'), undefined);
  });
});
