import { PrivacyEvent } from '@lethe/proto/gen/lethe/privacy/v1/events.ts';
import { ServiceError } from '../errors/service-error.ts';
import { isTenantId, type TenantId } from '../ids/ids.ts';
import type { NewRecord } from './port.ts';

/** An event of privacy.v1 with the tenant that it is of. */
export interface TenantPrivacyEvent {
  readonly tenantId: TenantId;
  readonly event: NonNullable<PrivacyEvent['event']>;
}

/**
 * Decodes a record of privacy.v1. Throws EVENT_TYPE_UNKNOWN for one that this version cannot read: passing over it
 * might pass over an erasure, so the partition must stop.
 */
export function decodePrivacyEvent({ record, sequence }: NewRecord): TenantPrivacyEvent {
  const tenantId = record.header?.tenantId ?? '';
  const event = decodeEvent(record.clearPayload);
  if (event !== undefined && isTenantId(tenantId)) return { tenantId, event };
  throw new ServiceError(
    'EVENT_TYPE_UNKNOWN',
    `privacy.v1 has an event at ${sequence} that this version does not know`,
  );
}

function decodeEvent(payload: Uint8Array): PrivacyEvent['event'] {
  try {
    return PrivacyEvent.decode(payload).event;
  } catch {
    // Bytes that are no PrivacyEvent and one of a later version end alike: the caller stops at this record.
    return undefined;
  }
}
