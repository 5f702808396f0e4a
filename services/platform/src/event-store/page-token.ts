import { ServiceError } from '../errors/service-error.ts';
import { tokenFromBytes, tokenBytes } from '../ids/ids.ts';
import type { StreamPageStart } from './read-streams.ts';

const tokenLength = 24;

/** Names the last stream of a page by what the caller has seen of it: stable while streams come and go. */
export function encodePageToken({ openedAtMs, token }: StreamPageStart): string {
  const bytes = Buffer.alloc(tokenLength);
  bytes.writeBigInt64BE(BigInt(openedAtMs));
  bytes.set(tokenBytes(token), 8);
  return bytes.toString('base64url');
}

/** Undefined for the first page. Throws INVALID_FIELDS for anything that no answer has given. */
export function parsePageToken(text: string): StreamPageStart | undefined {
  if (text === '') return undefined;
  const bytes = Buffer.from(text, 'base64url');
  if (bytes.length !== tokenLength || bytes.toString('base64url') !== text) {
    const description = 'must be the next_page_token of an earlier answer, or empty';
    throw new ServiceError('INVALID_FIELDS', 'the page token is of no earlier answer', {
      violations: [{ field: 'page_token', description }],
    });
  }
  return {
    openedAtMs: Number(bytes.readBigInt64BE()),
    token: tokenFromBytes(bytes.subarray(8)),
  };
}
