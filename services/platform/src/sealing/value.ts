import type { Scope } from '../ids/ids.ts';
import type { HeldLease, OpenRequest, SealLease } from '../key-client/port.ts';
import type { RandomBytes } from '../lifecycle/clock.ts';
import { type ValueBinding, valueAssociatedData } from './associated-data.ts';
import { keyIdOfBox } from './box.ts';
import { openUnder, sealUnder } from './part.ts';

/**
 * Seals a value of a read model, such as the state of a ticket, so that destroying the key reaches databases and
 * their backups too. Throws LEASE_EXPIRED or LEASE_CLAIM_EXHAUSTED.
 */
export function sealValue(
  lease: SealLease,
  binding: ValueBinding,
  plaintext: Uint8Array,
  randomBytes: RandomBytes,
): Buffer {
  assertTenant(lease, binding);
  const associatedData = valueAssociatedData(binding, lease.scope, lease.incarnation);
  return sealUnder(lease, associatedData, plaintext, randomBytes);
}

/** Opens such a value. Throws TAMPERED when the box or anything that it is bound to differs, or LEASE_EXPIRED. */
export function openValue(lease: HeldLease, binding: ValueBinding, box: Uint8Array): Buffer {
  assertTenant(lease, binding);
  return openUnder(lease, valueAssociatedData(binding, lease.scope, lease.incarnation), box);
}

/** What to lease in order to open the box of a value. Zeros stand for the key id of what is no box. */
export function openRequestOfValue(
  scope: Scope,
  incarnation: number,
  box: Uint8Array,
): OpenRequest {
  return { scope, incarnation, keyId: keyIdOfBox(box) ?? Buffer.alloc(16) };
}

function assertTenant(lease: HeldLease, binding: ValueBinding): void {
  if (lease.tenantId !== binding.tenantId) throw new RangeError('the lease is of another tenant');
}
