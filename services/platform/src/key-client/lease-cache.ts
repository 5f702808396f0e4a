import { type Scope, scopeText, type TenantId } from '../ids/ids.ts';
import type { CachedLease } from './cached-lease.ts';

/** Leases that stay when they are over, for what they have claimed: about 1 KB each. */
const idleLeasesKept = 5_000;

/**
 * Leases by the name they were asked under, at most `leasesMax`, the least recently used out first. Whatever leaves
 * the cache is ended: a revocation reaches what is in here, so nothing may live on outside of it.
 */
export class LeaseCache {
  readonly #leasesMax: number;
  readonly #byName = new Map<string, CachedLease>();
  /** Names under which a scope's leases stand: a person also under each alias. */
  readonly #namesOf = new Map<string, Set<string>>();

  constructor(leasesMax: number) {
    this.#leasesMax = leasesMax;
  }

  get(name: string): CachedLease | undefined {
    const lease = this.#byName.get(name);
    if (lease !== undefined) {
      this.#byName.delete(name);
      this.#byName.set(name, lease);
    }
    return lease;
  }

  put(name: string, lease: CachedLease): void {
    const replaced = this.#byName.get(name);
    // An older generation of the same scope stays usable for whoever holds it, so it keeps a name to be found by.
    if (replaced !== undefined && replaced !== lease) this.#rename(name, replaced);
    this.#byName.delete(name);
    this.#byName.set(name, lease);
    const scopeName = scopeNameOf(lease.tenantId, lease.scope);
    const names = this.#namesOf.get(scopeName) ?? new Set();
    this.#namesOf.set(scopeName, names.add(name));
    for (const [oldest, oldestLease] of this.#byName) {
      if (this.#byName.size <= this.#leasesMax) break;
      this.#remove(oldest, oldestLease);
      oldestLease.end();
    }
  }

  /** Ends every lease of the scope, or those up to an incarnation. */
  endScope(tenantId: TenantId, scope: Scope, upToIncarnation = Infinity): void {
    for (const name of this.#namesOf.get(scopeNameOf(tenantId, scope)) ?? []) {
      const lease = this.#byName.get(name);
      if (lease === undefined || lease.incarnation > upToIncarnation) continue;
      lease.end();
      this.#remove(name, lease);
    }
  }

  endAll(): void {
    for (const lease of this.#byName.values()) lease.end();
    this.#byName.clear();
    this.#namesOf.clear();
  }

  /**
   * Drops the keys of every lease that is over, whether or not anybody will ask for it again, and those leases
   * themselves but for the `idleKept` that were used last, or a stream of new tickets would fill the cache with what is
   * over. What goes with a lease is what it had claimed and not sealed: a scope that is often let go gets its next key
   * early, one more for every 256 times.
   */
  sweep(idleKept = idleLeasesKept): void {
    for (const lease of this.#byName.values()) lease.dropWhenOver();
    for (const [name, lease] of this.#byName) {
      if (this.#byName.size <= idleKept || lease.isUsable) break;
      this.#remove(name, lease);
      lease.end();
    }
  }

  #rename(name: string, lease: CachedLease): void {
    this.#remove(name, lease);
    this.put(`${name} ${lease.keyId.toString('hex')}`, lease);
  }

  #remove(name: string, lease: CachedLease): void {
    this.#byName.delete(name);
    const scopeName = scopeNameOf(lease.tenantId, lease.scope);
    const names = this.#namesOf.get(scopeName);
    names?.delete(name);
    if (names?.size === 0) this.#namesOf.delete(scopeName);
  }
}

export function scopeNameOf(tenantId: TenantId, scope: Scope): string {
  return `${tenantId} ${scopeText(scope)}`;
}
