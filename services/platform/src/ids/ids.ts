declare const brand: unique symbol;
/** The name is a property, so that a value may carry two brands: `EventId & ErasureId` is a UUID for either. */
type Branded<Base, Name extends string> = Base & {
  readonly [brand]: { readonly [Each in Name]: true };
};

/** A customer of the platform: lower-case letters, digits, hyphens; 2 to 63 characters, starting with a letter. */
export type TenantId = Branded<string, 'TenantId'>;
/** UUID text in lower case. */
export type EventId = Branded<string, 'EventId'>;
/** UUID text in lower case. */
export type ErasureId = Branded<string, 'ErasureId'>;
/** 32 lower-case hex digits: 16 bytes of HMAC-SHA-256 over a natural id; docs/sealing-format.md. */
export type Token = Branded<string, 'Token'>;

/** What one data key protects. `token` is absent for facts alone. */
export type Scope =
  | { readonly kind: 'facts' }
  | { readonly kind: 'ticket'; readonly token: Token }
  | { readonly kind: 'person'; readonly token: Token };

export type ScopeKindName = Scope['kind'];

/** `facts`, `ticket/<token>` or `person/<token>`: the text form, also the map key. */
export function scopeText(scope: Scope): string {
  return scope.kind === 'facts' ? 'facts' : `${scope.kind}/${scope.token}`;
}

const tenantPattern = /^[a-z][a-z0-9-]{1,62}$/;
const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const tokenPattern = /^[0-9a-f]{32}$/;

export function isTenantId(text: string): text is TenantId {
  return tenantPattern.test(text);
}

/** Any UUID in lower-case text; which versions a caller may send is the parser's rule. */
export function isUuidText(text: string): text is EventId & ErasureId {
  return uuidPattern.test(text);
}

export function isToken(text: string): text is Token {
  return tokenPattern.test(text);
}

/** 16 bytes to 32 hex digits; throws a RangeError on any other length (a defect, not input). */
export function tokenFromBytes(bytes: Uint8Array): Token {
  if (bytes.length !== 16) throw new RangeError(`a token has 16 bytes, not ${bytes.length}`);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex') as Token;
}

export function tokenBytes(token: Token): Buffer {
  return Buffer.from(token, 'hex');
}

/** 16 bytes to UUID text; throws a RangeError on any other length (a defect, not input). */
export function eventIdFromBytes(bytes: Uint8Array): EventId {
  if (bytes.length !== 16) throw new RangeError(`an event id has 16 bytes, not ${bytes.length}`);
  const hex = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}` as EventId;
}

export function eventIdBytes(id: EventId): Buffer {
  return Buffer.from(id.replaceAll('-', ''), 'hex');
}
