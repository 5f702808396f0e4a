import type { KeyObject } from 'node:crypto';
import type { DataKey } from '../sealing/data-key.ts';
import type { EventId, Scope, TenantId, Token } from '../ids/ids.ts';

/** Why a scope has no lease. `erased` is terminal and typed; the others are not taken for it. */
export type LeaseRefusal = {
  readonly granted: false;
  readonly status: 'erased' | 'unknown_ticket' | 'unknown_key' | 'owner_fenced';
  /** With the canonical token, as in a lease. */
  readonly scope: Scope;
  /** Of an erased scope the highest fenced incarnation, which a part stored as erased names; 0 otherwise. */
  readonly incarnation: number;
};

/** A data key that this process may use until its lease runs out or is revoked. */
export interface HeldLease {
  readonly granted: true;
  readonly tenantId: TenantId;
  /** With the canonical token: for a person the one its aliases lead to. */
  readonly scope: Scope;
  readonly incarnation: number;
  readonly dataKey: DataKey;
  /** Keys content digests; dies with the scope. */
  readonly digestKey: KeyObject;
  /** Of a ticket: its requester. */
  readonly owner: { readonly token: Token; readonly incarnation: number } | undefined;
  /** Of a person: cut-off of the newest fence, milliseconds since 1970. */
  readonly fenceCutOffMs: number | undefined;
  /**
   * Throws LEASE_EXPIRED once the TTL is over by the wall clock or by the monotonic clock, or after a revocation.
   * Looked at before and after each use.
   */
  assertUsable(): void;
}

/** A lease that may seal, within the messages and bytes it claimed. */
export interface SealLease extends HeldLease {
  /** Counts one message; throws LEASE_CLAIM_EXHAUSTED when the claim is used up (nothing was sealed: lease again). */
  take(plaintextBytes: number): void;
}

export interface SealRequest {
  readonly scope: Scope;
  /** Of a person: tokens of further ids, registered as aliases. */
  readonly aliases?: readonly Token[];
  /** Of a ticket that TicketOpened may create: its owner. */
  readonly createFor?: { readonly token: Token; readonly incarnation: number };
  /** How many messages the caller is about to seal; 1 when absent. The claim covers at least these. */
  readonly messages?: number;
  /** How many plaintext bytes they have in all; 1 MiB when absent. The claim covers at least these. */
  readonly plaintextBytes?: number;
}

/** What a box says about its key. */
export interface OpenRequest {
  readonly scope: Scope;
  readonly incarnation: number;
  /** 16 bytes. */
  readonly keyId: Uint8Array;
}

/** Makes tokens and ids with the tenant's token key. */
export interface TokenMaker {
  ticket(naturalId: string): Token;
  person(naturalId: string): Token;
  /** `kind` keeps an e-mail address and an equal natural id apart; the value is made canonical first. */
  alias(kind: 'email' | 'phone' | 'id', value: string): Token;
  /** UUIDv8 of HMAC(token key, source id). */
  eventIdFromSource(sourceId: string): EventId;
  /** UUIDv8 of HMAC(token key, parts): ids of milestones, from ticket, milestone and causing event. */
  derivedEventId(...parts: readonly string[]): EventId;
}

/** Makes the 8-byte contributor hash of a person for one month. */
export type ContributorMaker = (person: Token) => Buffer;

/**
 * Leases with a cache in front: concurrent requests for one key make one call, revocations evict at once.
 * Throws KEYS_UNAVAILABLE, TENANT_UNKNOWN, SCOPE_NOT_ALLOWED.
 */
export interface KeyClient {
  /**
   * An answer per request, in order; each lease granted here has a claim for at least the messages and bytes its
   * request names. Leases are counted against by everyone who got them, so take() may throw all the same: lease again.
   */
  leaseForSeal(
    tenantId: TenantId,
    requests: readonly SealRequest[],
  ): Promise<readonly (SealLease | LeaseRefusal)[]>;
  /** An answer per request, in order. */
  leaseForOpen(
    tenantId: TenantId,
    requests: readonly OpenRequest[],
  ): Promise<readonly (HeldLease | LeaseRefusal)[]>;
  tokens(tenantId: TenantId): Promise<TokenMaker>;
  /** Undefined for a closed month or one that lies ahead. `month` is year * 12 + (month - 1), UTC. */
  contributors(tenantId: TenantId, month: number): Promise<ContributorMaker | undefined>;
  /** Canonical tokens per given token; several when persons share an alias, none when never seen. */
  resolvePersons(
    tenantId: TenantId,
    tokens: readonly Token[],
  ): Promise<readonly (readonly Token[])[]>;
  /** Forgets a cached lease, as after an owner_fenced answer. */
  evict(tenantId: TenantId, scope: Scope): void;
  /** Registers with keys for revocations; resolves once registered. Leases are refused before that. */
  start(): Promise<void>;
  stop(): Promise<void>;
}
