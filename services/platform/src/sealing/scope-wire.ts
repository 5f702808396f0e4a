import { ScopeKind } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import { type Scope, type ScopeKindName, tokenBytes, tokenFromBytes } from '../ids/ids.ts';

/** A scope as messages carry it. */
export interface WireScope {
  readonly kind: ScopeKind;
  /** 16 bytes; empty for facts. */
  readonly token: Buffer;
}

const wireKinds = {
  facts: ScopeKind.SCOPE_KIND_FACTS,
  ticket: ScopeKind.SCOPE_KIND_TICKET,
  person: ScopeKind.SCOPE_KIND_PERSON,
} as const satisfies Record<ScopeKindName, ScopeKind>;

export function encodeScope(scope: Scope): WireScope {
  return {
    kind: wireKinds[scope.kind],
    token: scope.kind === 'facts' ? Buffer.alloc(0) : tokenBytes(scope.token),
  };
}

/** Undefined when kind and token do not make a scope. */
export function parseScope(kind: ScopeKind, token: Uint8Array): Scope | undefined {
  if (kind === ScopeKind.SCOPE_KIND_FACTS)
    return token.length === 0 ? { kind: 'facts' } : undefined;
  if (token.length !== 16) return undefined;
  if (kind === ScopeKind.SCOPE_KIND_TICKET) return { kind: 'ticket', token: tokenFromBytes(token) };
  if (kind === ScopeKind.SCOPE_KIND_PERSON) return { kind: 'person', token: tokenFromBytes(token) };
  return undefined;
}
