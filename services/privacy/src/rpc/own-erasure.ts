import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { CallContext } from '@lethe/platform/grpc/handler.ts';
import { requireTenant } from '@lethe/platform/grpc/caller.ts';
import type { ErasureId } from '@lethe/platform/ids/ids.ts';
import type { Kysely } from 'kysely';
import type { Erasure } from '../domain/erasure.ts';
import type { PrivacySchema } from '../schema.ts';
import { readErasure } from '../store.ts';

/** An erasure of the caller's own tenant. Throws ERASURE_UNKNOWN, also for one of another tenant. */
export async function ownErasure(
  db: Kysely<PrivacySchema>,
  call: CallContext,
  erasureId: ErasureId,
): Promise<Erasure> {
  const tenantId = requireTenant(call);
  const erasure = await readErasure(db, erasureId);
  if (erasure === undefined || erasure.tenantId !== tenantId) {
    throw new ServiceError('ERASURE_UNKNOWN', `The tenant has no erasure ${erasureId}.`);
  }
  return erasure;
}
