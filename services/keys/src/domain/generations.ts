import type { ScopeKindName } from '@lethe/platform/ids/ids.ts';

/** Most messages that one data key seals: far below the 2^32 of NIST SP 800-38D (8.3) for GCM with random nonces. */
export const messagesPerKeyMax = 2 ** 20;
/** Most plaintext that one data key seals, KiB: 2^36 bytes. */
export const kibPerKeyMax = 2 ** 26;
/** How long a facts key seals. */
export const factsKeySealsMs = 24 * 3_600_000;
/** A lease given now is used until it runs out, so the last one is given this long before the key's time is over. */
export const leaseTtlMaxMs = 60_000;

/** The newest data key of a scope. */
export interface NewestKey {
  readonly incarnation: number;
  readonly generation: number;
  readonly claimedMessages: number;
  readonly claimedKib: number;
  readonly createdAtMs: number;
}

export interface Claim {
  readonly messages: number;
  readonly kib: number;
}

export const noClaim: Claim = { messages: 0, kib: 0 };

/** The highest fenced incarnation of a scope; what occurred before the cut-off belongs to it. */
export interface Fence {
  readonly incarnation: number;
  readonly cutOffMs: number;
}

export interface SealQuestion {
  readonly kind: ScopeKindName;
  /** What the scope's holders want on top of what they have. */
  readonly claim: Claim;
  readonly newest: NewestKey | undefined;
  readonly fence: Fence | undefined;
  /** Of a person: whether the tenant lets erased persons come back. */
  readonly mayReturn: boolean;
  /** Of a ticket that may be created: the highest fenced incarnation of its owner, 0 for none, and the one named. */
  readonly owner: { readonly incarnation: number; readonly fencedIncarnation: number } | undefined;
  readonly nowMs: number;
}

export type SealDecision =
  | { readonly kind: 'refuse'; readonly status: 'erased' | 'unknown_ticket' | 'owner_fenced' }
  /** The newest key, with the claim added to it. */
  | { readonly kind: 'use' }
  /** A new data key; the claim is its first. */
  | { readonly kind: 'make'; readonly incarnation: number; readonly generation: number };

/** Which data key seals next: pure, so that every case can be seen in a table. */
export function decideSeal(question: SealQuestion): SealDecision {
  const { kind, newest, fence } = question;
  if (kind === 'ticket' && fence !== undefined) return { kind: 'refuse', status: 'erased' };
  if (kind === 'person' && fence !== undefined && !question.mayReturn) {
    return { kind: 'refuse', status: 'erased' };
  }
  if (newest === undefined) return decideFirst(question);
  if (fits(question, newest)) return { kind: 'use' };
  return { kind: 'make', incarnation: newest.incarnation, generation: newest.generation + 1 };
}

function decideFirst({ kind, fence, owner }: SealQuestion): SealDecision {
  if (kind === 'ticket') {
    if (owner === undefined) return { kind: 'refuse', status: 'unknown_ticket' };
    if (owner.incarnation <= owner.fencedIncarnation) {
      return { kind: 'refuse', status: 'owner_fenced' };
    }
  }
  return { kind: 'make', incarnation: (fence?.incarnation ?? 0) + 1, generation: 1 };
}

function fits({ kind, claim, nowMs }: SealQuestion, newest: NewestKey): boolean {
  const endsMs = newest.createdAtMs + factsKeySealsMs - leaseTtlMaxMs;
  if (kind === 'facts' && nowMs >= endsMs) return false;
  return (
    newest.claimedMessages + claim.messages <= messagesPerKeyMax &&
    newest.claimedKib + claim.kib <= kibPerKeyMax
  );
}

/** The incarnation that a fence set now covers: the living one, whether or not it has sealed anything yet. */
export function incarnationToFence(fence: Fence | undefined): number {
  return (fence?.incarnation ?? 0) + 1;
}
