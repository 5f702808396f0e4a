import { type FieldViolation, ServiceError } from '@lethe/platform/errors/service-error.ts';
import { type ErasureId, isUuidText } from '@lethe/platform/ids/ids.ts';

/** INVALID_FIELDS with every broken rule at once. */
export function invalidFields(violations: readonly FieldViolation[]): ServiceError {
  return new ServiceError('INVALID_FIELDS', undefined, { violations });
}

/** The id of an erasure, in whatever case it was written. Throws INVALID_FIELDS. */
export function parseErasureId(text: string): ErasureId {
  const erasureId = text.toLowerCase();
  if (isUuidText(erasureId)) return erasureId;
  throw invalidFields([{ field: 'erasure_id', description: 'must be a UUID in text form' }]);
}

/** The size of a page: `normal` when none is asked for. Throws INVALID_FIELDS above `max`. */
export function parsePageSize(asked: number, normal: number, max: number): number {
  if (asked > max) {
    const description = `must be 1 to ${max}, or 0 for ${normal}`;
    throw invalidFields([{ field: 'page_size', description }]);
  }
  return asked === 0 ? normal : asked;
}

/** What a page token says; the caller checks that it is one of ours. */
export function decodePageToken(pageToken: string): string {
  return Buffer.from(pageToken, 'base64url').toString('utf8');
}

export function encodePageToken(place: string): string {
  return Buffer.from(place, 'utf8').toString('base64url');
}

/** For a page token that this service has not given out. */
export function unknownPageToken(): ServiceError {
  const description = 'must be one that the previous page answered';
  return invalidFields([{ field: 'page_token', description }]);
}
