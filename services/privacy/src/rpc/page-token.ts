import type { ServiceError } from '@lethe/platform/errors/service-error.ts';
import { invalidFields } from '@lethe/platform/grpc/parse-request.ts';

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
