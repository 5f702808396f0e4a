import type { SealedPart } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import type { PartKind } from '@lethe/proto/gen/shapes.ts';
import type { Scope, ScopeKindName } from '../ids/ids.ts';
import type { HeldLease, SealLease } from '../key-client/port.ts';
import type { RandomBytes } from '../lifecycle/clock.ts';
import { openBox, sealBox } from './box.ts';
import { parseScope } from './scope-wire.ts';

/** The kind of scope whose key seals a kind of part. */
export const scopeKindOfPart = {
  facts: 'facts',
  content: 'ticket',
  person: 'person',
} as const satisfies Record<PartKind, ScopeKindName>;

/** What kind of part lies under a kind of scope. */
export const partKindOfScope = {
  facts: 'facts',
  ticket: 'content',
  person: 'person',
} as const satisfies Record<ScopeKindName, PartKind>;

/** The scope that a part names; undefined when it names none. */
export function scopeOfPart(part: SealedPart): Scope | undefined {
  return parseScope(part.scopeKind, part.scopeToken);
}

/** Seals within what the lease still allows; throws LEASE_EXPIRED or LEASE_CLAIM_EXHAUSTED. */
export function sealUnder(
  lease: SealLease,
  associatedData: Buffer,
  plaintext: Uint8Array,
  randomBytes: RandomBytes,
): Buffer {
  lease.assertUsable();
  lease.take(plaintext.length);
  const box = sealBox(lease.dataKey, associatedData, plaintext, randomBytes);
  // Expired or revoked while sealing: the box must not leave this function.
  lease.assertUsable();
  return box;
}

/** Opens while the lease lasts; throws LEASE_EXPIRED or TAMPERED. */
export function openUnder(lease: HeldLease, associatedData: Buffer, box: Uint8Array): Buffer {
  lease.assertUsable();
  const plaintext = openBox(lease.dataKey, associatedData, box);
  lease.assertUsable();
  return plaintext;
}
