import type { NewRecord } from '@lethe/platform/consumer/port.ts';
import { decodePrivacyEvent } from '@lethe/platform/consumer/privacy-event.ts';
import {
  type ErasureId,
  isUuidText,
  type TenantId,
  type Token,
  tokenFromBytes,
} from '@lethe/platform/ids/ids.ts';
import { parseScope } from '@lethe/platform/sealing/scope-wire.ts';
import { ReturningPersons } from '@lethe/proto/gen/lethe/privacy/v1/enums.ts';
import type {
  ErasureRequested,
  ScopesErased,
  TenantSettings,
} from '@lethe/proto/gen/lethe/privacy/v1/events.ts';
import type { FencedScope } from './store/erase-scopes.ts';

/** What an event of privacy.v1 means to `keys`. */
export type PrivacyFact =
  | { readonly kind: 'tenant'; readonly tenantId: TenantId; readonly mayReturn: boolean }
  | { readonly kind: 'settings'; readonly tenantId: TenantId; readonly mayReturn: boolean }
  | {
      readonly kind: 'requested';
      readonly tenantId: TenantId;
      readonly erasureId: ErasureId;
      readonly persons: readonly Token[];
      readonly tickets: readonly Token[];
      readonly cutOffMs: number;
    }
  | {
      readonly kind: 'erased';
      readonly tenantId: TenantId;
      readonly erasureId: ErasureId;
      readonly scopes: readonly FencedScope[];
    };

/**
 * Undefined for an event that is nothing to `keys`; `unknown` for one that lacks what it needs, which must not be passed
 * over: it may be an erasure. Throws EVENT_TYPE_UNKNOWN.
 */
export function parsePrivacyFact(record: NewRecord): PrivacyFact | 'unknown' | undefined {
  const { tenantId, event } = decodePrivacyEvent(record);
  switch (event.$case) {
    case 'tenantRegistered':
      return tenantFact('tenant', tenantId, event.value.settings);
    case 'tenantSettingsChanged':
      return tenantFact('settings', tenantId, event.value.settings);
    case 'erasureRequested':
      return requestedFact(tenantId, event.value) ?? 'unknown';
    case 'scopesErased':
      return erasedFact(tenantId, event.value) ?? 'unknown';
    case 'tenantTerminated':
    case 'erasureReceiptRecorded':
    case 'erasureCompleted':
    case 'processingRestricted':
    case 'restrictionLifted':
    case 'statisticsObjected':
    case 'objectionWithdrawn':
    case 'legalHoldPlaced':
    case 'legalHoldReleased':
      return undefined;
  }
}

function tenantFact(
  kind: 'tenant' | 'settings',
  tenantId: TenantId,
  settings: TenantSettings | undefined,
): PrivacyFact {
  const mayReturn = settings?.returningPersons !== ReturningPersons.RETURNING_PERSONS_REFUSE;
  return { kind, tenantId, mayReturn };
}

function requestedFact(tenantId: TenantId, event: ErasureRequested): PrivacyFact | undefined {
  const { erasureId, personTokens, ticketTokens, requestedAt } = event;
  const tokens = [...personTokens, ...ticketTokens];
  if (!isUuidText(erasureId) || requestedAt === undefined) return undefined;
  if (tokens.some((bytes) => bytes.length !== 16)) return undefined;
  return {
    kind: 'requested',
    tenantId,
    erasureId,
    persons: personTokens.map(tokenFromBytes),
    tickets: ticketTokens.map(tokenFromBytes),
    cutOffMs: requestedAt.getTime(),
  };
}

function erasedFact(tenantId: TenantId, event: ScopesErased): PrivacyFact | undefined {
  if (!isUuidText(event.erasureId)) return undefined;
  const scopes: FencedScope[] = [];
  for (const { kind, token, incarnation, cutOff } of event.scopes) {
    const scope = parseScope(kind, token);
    if (scope === undefined || cutOff === undefined) return undefined;
    scopes.push({ scope, incarnation, cutOffMs: cutOff.getTime() });
  }
  return { kind: 'erased', tenantId, erasureId: event.erasureId, scopes };
}
