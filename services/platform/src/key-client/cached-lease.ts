import type { KeyObject } from 'node:crypto';
import { ServiceError } from '../errors/service-error.ts';
import { type Scope, scopeText, type TenantId, type Token } from '../ids/ids.ts';
import type { Clock } from '../lifecycle/clock.ts';
import type { DataKey } from '../sealing/data-key.ts';
import type { SealLease } from './port.ts';

/** Both clocks as they stood before a lease was asked for. */
export interface Moment {
  readonly wallMs: number;
  readonly monotonicMs: number;
}

export function momentOf(clock: Clock): Moment {
  return { wallMs: clock.nowMs(), monotonicMs: clock.monotonicMs() };
}

/**
 * Whether `durationMs` have passed since a moment by either clock. A wall clock that went back says nothing of its
 * own; the monotonic one then decides. One that jumped ahead ends the lease: early is safe, late is not.
 */
export function isOver(since: Moment, durationMs: number, clock: Clock): boolean {
  return (
    clock.nowMs() - since.wallMs >= durationMs ||
    clock.monotonicMs() - since.monotonicMs >= durationMs
  );
}

export interface GrantedKey {
  readonly tenantId: TenantId;
  readonly scope: Scope;
  readonly incarnation: number;
  readonly dataKey: DataKey;
  readonly digestKey: KeyObject;
  readonly owner: { readonly token: Token; readonly incarnation: number } | undefined;
  readonly fenceCutOffMs: number | undefined;
}

/** One leased key in this process. Everyone who leased it shares this object, its term and its claim. */
export class CachedLease implements SealLease {
  readonly granted = true;
  readonly tenantId: TenantId;
  readonly scope: Scope;
  readonly incarnation: number;
  readonly keyId: Buffer;
  readonly owner: GrantedKey['owner'];
  fenceCutOffMs: number | undefined;
  /** Further tokens of the person that keys has registered; others must still be sent. */
  readonly knownAliases = new Set<Token>();
  readonly #clock: Clock;
  /** Gone once the lease is over: nobody waits for what this process no longer has. */
  #keys: Pick<GrantedKey, 'dataKey' | 'digestKey'> | undefined;
  #askedAt: Moment;
  #ttlMs: number;
  #ended = false;
  #messagesLeft = 0;
  #bytesLeft = 0n;

  constructor(key: GrantedKey, clock: Clock, askedAt: Moment, ttlMs: number) {
    this.tenantId = key.tenantId;
    this.scope = key.scope;
    this.incarnation = key.incarnation;
    this.keyId = key.dataKey.keyId;
    this.#keys = key;
    this.owner = key.owner;
    this.fenceCutOffMs = key.fenceCutOffMs;
    this.#clock = clock;
    this.#askedAt = askedAt;
    this.#ttlMs = ttlMs;
  }

  get dataKey(): DataKey {
    return this.#requireKeys().dataKey;
  }

  get digestKey(): KeyObject {
    return this.#requireKeys().digestKey;
  }

  assertUsable(): void {
    this.#requireKeys();
  }

  take(plaintextBytes: number): void {
    if (this.#messagesLeft < 1 || this.#bytesLeft < BigInt(plaintextBytes)) {
      const message = `The lease of ${scopeText(this.scope)} has sealed as much as it claimed.`;
      throw new ServiceError('LEASE_CLAIM_EXHAUSTED', message);
    }
    this.#messagesLeft -= 1;
    this.#bytesLeft -= BigInt(plaintextBytes);
  }

  get isUsable(): boolean {
    return this.#keys !== undefined && !isOver(this.#askedAt, this.#ttlMs, this.#clock);
  }

  /** By a revocation or by leaving the cache: it is never renewed. One that merely ran out may be. */
  get isEnded(): boolean {
    return this.#ended;
  }

  /** Not ended, and a third of the term is still ahead: enough for a transaction that begins now. */
  get isFresh(): boolean {
    return this.#keys !== undefined && !isOver(this.#askedAt, (this.#ttlMs * 2) / 3, this.#clock);
  }

  covers(messages: number, plaintextBytes: number): boolean {
    return this.#messagesLeft >= messages && this.#bytesLeft >= BigInt(plaintextBytes);
  }

  /** A later answer for the same key: a new term, and what was claimed on top. */
  extend(key: GrantedKey, askedAt: Moment, ttlMs: number, messages: number, bytes: bigint): void {
    if (askedAt.monotonicMs >= this.#askedAt.monotonicMs) {
      this.#askedAt = askedAt;
      this.#ttlMs = ttlMs;
      this.#keys = key;
      this.fenceCutOffMs = key.fenceCutOffMs;
    }
    this.#messagesLeft += messages;
    this.#bytesLeft += bytes;
  }

  /** Revoked or dropped: nobody may use it from now on, whoever still holds it. */
  end(): void {
    this.#ended = true;
    this.#keys = undefined;
    this.#messagesLeft = 0;
    this.#bytesLeft = 0n;
  }

  /** Drops the keys once the term is over; the claim stays, for a renewal of the same key. */
  dropWhenOver(): void {
    if (!this.isUsable) this.#keys = undefined;
  }

  #requireKeys(): Pick<GrantedKey, 'dataKey' | 'digestKey'> {
    if (this.#keys !== undefined && this.isUsable) return this.#keys;
    this.#keys = undefined;
    throw new ServiceError('LEASE_EXPIRED', `The lease of ${scopeText(this.scope)} is over.`);
  }
}
