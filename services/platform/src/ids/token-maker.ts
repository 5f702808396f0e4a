import { createHmac, type KeyObject } from 'node:crypto';
import type { ContributorMaker, TokenMaker } from '../key-client/port.ts';
import { createByteWriter } from '../sealing/byte-writer.ts';
import { type EventId, eventIdFromBytes, type Token, tokenBytes, tokenFromBytes } from './ids.ts';

/**
 * HMAC-SHA-256 over the domain and the values, each behind its length; the first `sizeBytes` bytes of it.
 * Format and vectors: docs/sealing-format.md.
 */
function keyedHash(
  macKey: KeyObject,
  domain: string,
  values: readonly (string | Uint8Array)[],
  sizeBytes: number,
): Buffer {
  const writer = createByteWriter(256).sized(domain);
  for (const value of values) writer.sized(value);
  return createHmac('sha256', macKey).update(writer.bytes()).digest().subarray(0, sizeBytes);
}

/** Unicode NFC without white space at the ends: the same id in two notations gives one token. */
function canonicalId(value: string): string {
  return value.normalize('NFC').trim();
}

function canonicalEmail(value: string): string {
  return canonicalId(value).toLowerCase().normalize('NFC');
}

/**
 * A phone number's digits: `+49 (0)30 23125-123`, `0049 30 23125123` and `49.30.23125123` are one number. Without any
 * digit ("unknown") the text itself stands for it. A national notation is not completed: the country is not known here.
 */
function canonicalPhone(value: string): string {
  const text = canonicalId(value.normalize('NFKC'));
  const international = /^(?:\+|00)/.test(text);
  const digits = (international ? text.replace('(0)', '') : text).replaceAll(/[^0-9]/g, '');
  if (digits === '') return text;
  return international ? digits.replace(/^00/, '') : digits;
}

const canonicalAlias = {
  email: canonicalEmail,
  phone: canonicalPhone,
  id: canonicalId,
} as const;

/** RFC 9562, version 8: 16 bytes of hash with the version and variant bits set over it. */
function eventIdOfHash(hash: Buffer): EventId {
  const bytes = Buffer.from(hash);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x80, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  return eventIdFromBytes(bytes);
}

/** Tokens and event ids of one tenant, made with its token key (32 bytes). */
export function createTokenMaker(tokenKey: KeyObject): TokenMaker {
  const token = (kind: string, value: string): Token =>
    tokenFromBytes(keyedHash(tokenKey, 'lethe.token.v1', [kind, value], 16));
  return {
    ticket: (naturalId) => token('ticket', canonicalId(naturalId)),
    person: (naturalId) => token('person', canonicalId(naturalId)),
    alias: (kind, value) => token(`alias:${kind}`, canonicalAlias[kind](value)),
    eventIdFromSource: (sourceId) =>
      eventIdOfHash(keyedHash(tokenKey, 'lethe.event-id.source.v1', [canonicalId(sourceId)], 16)),
    derivedEventId: (...parts) =>
      eventIdOfHash(keyedHash(tokenKey, 'lethe.event-id.derived.v1', parts, 16)),
  };
}

/** Contributor hashes (8 bytes) of one tenant and month, made with that month's contributor key. */
export function createContributorMaker(contributorKey: KeyObject): ContributorMaker {
  return (person) => keyedHash(contributorKey, 'lethe.contributor.v1', [tokenBytes(person)], 8);
}
