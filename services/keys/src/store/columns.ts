import {
  type Scope,
  type ScopeKindName,
  type Token,
  tokenBytes,
  tokenFromBytes,
} from '@lethe/platform/ids/ids.ts';

const kindNumbers = { facts: 1, ticket: 2, person: 3 } as const satisfies Record<
  ScopeKindName,
  number
>;

/** A scope as a column: one byte for the kind, then the token's 16. Sorts kinds apart. */
export function scopeBytes(scope: Scope): Buffer {
  const kind = Buffer.of(kindNumbers[scope.kind]);
  return scope.kind === 'facts' ? kind : Buffer.concat([kind, tokenBytes(scope.token)]);
}

export function scopeFromBytes(bytes: Buffer): Scope {
  const kind = bytes.readUInt8(0);
  if (kind === kindNumbers.facts && bytes.length === 1) return { kind: 'facts' };
  const token = tokenFromBytes(bytes.subarray(1));
  if (kind === kindNumbers.ticket) return { kind: 'ticket', token };
  if (kind === kindNumbers.person) return { kind: 'person', token };
  throw new RangeError(`no scope has kind ${kind}`);
}

export interface Owner {
  readonly token: Token;
  readonly incarnation: number;
}

/** The owner of a ticket as a column: the token's 16 bytes, then 4 of the incarnation, so that a range finds all. */
export function ownerBytes({ token, incarnation }: Owner): Buffer {
  const number = Buffer.alloc(4);
  number.writeUInt32BE(incarnation);
  return Buffer.concat([tokenBytes(token), number]);
}

/** Undefined for the empty column of what is no ticket. */
export function ownerFromBytes(bytes: Buffer): Owner | undefined {
  if (bytes.length === 0) return undefined;
  return { token: tokenFromBytes(bytes.subarray(0, 16)), incarnation: bytes.readUInt32BE(16) };
}

/** First two bytes of a key id as the column has them. */
export function keyIdStart(keyId: Uint8Array): number {
  return Buffer.from(keyId.buffer, keyId.byteOffset, keyId.length).readInt16BE(0);
}

const minuteMs = 60_000;

export function minuteOf(timeMs: number): number {
  return Math.floor(timeMs / minuteMs);
}

export function minuteToMs(minute: number): number {
  return minute * minuteMs;
}
