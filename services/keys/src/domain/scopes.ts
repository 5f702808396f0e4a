import { LeasePurpose } from '@lethe/proto/gen/lethe/keys/v1/service.ts';
import type { ServiceName } from '@lethe/proto/access.ts';
import type { ScopeKindName } from '@lethe/platform/ids/ids.ts';

/** What a service may do with the keys of one kind of scope. Creating a ticket is a seal that may make its key. */
export type LeaseUse = 'seal' | 'create' | 'open';

type Allowed = Readonly<Partial<Record<ScopeKindName, readonly LeaseUse[]>>>;

/**
 * Which service may lease what. Analytics never sees a text or a name; only tickets makes ticket keys,
 * while predictions seals under those that exist; privacy opens persons for exports.
 */
const allowedUses: Readonly<Record<ServiceName, Allowed>> = {
  tickets: {
    facts: ['seal', 'open'],
    ticket: ['seal', 'create', 'open'],
    person: ['seal', 'open'],
  },
  predictions: { facts: ['seal', 'open'], ticket: ['seal', 'open'], person: ['seal', 'open'] },
  usage: { facts: ['seal', 'open'], person: ['seal', 'open'] },
  analytics: { facts: ['open'] },
  privacy: { person: ['open'] },
  keys: {},
};

export function mayLease(service: ServiceName, kind: ScopeKindName, use: LeaseUse): boolean {
  return allowedUses[service][kind]?.includes(use) ?? false;
}

/** Undefined for a purpose that this version does not know. */
export function purposeName(purpose: LeasePurpose): 'seal' | 'open' | undefined {
  if (purpose === LeasePurpose.LEASE_PURPOSE_SEAL) return 'seal';
  return purpose === LeasePurpose.LEASE_PURPOSE_OPEN ? 'open' : undefined;
}
