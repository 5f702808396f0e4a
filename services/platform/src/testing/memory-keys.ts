import { createSecretKey, randomBytes } from 'node:crypto';
import { ServiceError } from '../errors/service-error.ts';
import { type Scope, scopeText, type TenantId, type Token } from '../ids/ids.ts';
import { createContributorMaker, createTokenMaker } from '../ids/token-maker.ts';
import type {
  HeldLease,
  KeyClient,
  LeaseRefusal,
  OpenRequest,
  SealLease,
  SealRequest,
} from '../key-client/port.ts';
import { createDataKey, type DataKey } from '../sealing/data-key.ts';

interface MemoryKey {
  readonly scope: Scope;
  readonly incarnation: number;
  readonly dataKeys: DataKey[];
  readonly digestSecret: Buffer;
  readonly owner: { readonly token: Token; readonly incarnation: number } | undefined;
  erased: boolean;
}

interface MemoryTenant {
  readonly tokenKey: Buffer;
  readonly contributorKeys: Map<number, Buffer>;
  /** By `scopeText`, the newest last. */
  readonly keys: Map<string, MemoryKey[]>;
  readonly cutOffs: Map<string, number>;
  readonly aliases: Map<Token, Token>;
}

/** What a fence of `MemoryKeys` covered. */
export interface MemoryFenced {
  readonly scope: Scope;
  readonly incarnation: number;
  readonly cutOffMs: number;
}

/** The rules of `keys` in memory, for unit tests of what uses leases; nothing is cached, so nothing is revoked late. */
export interface MemoryKeys extends KeyClient {
  /** Fences a person with every ticket they own and destroys the data keys. */
  fencePerson(tenantId: TenantId, person: Token, cutOffMs: number): readonly MemoryFenced[];
  /** The scope's next data key; older ones stay leased for opening. */
  rotate(tenantId: TenantId, scope: Scope): void;
  /** The next leases throw at their n-th use or check; undefined: never. */
  breakLeasesAfter(uses: number | undefined): void;
  /** Whether an erased person may come back; true at first. */
  allowReturning(allowed: boolean): void;
  /** Months without contributor keys. */
  closeMonth(month: number): void;
  /** Calls of `leaseForSeal` so far. */
  leaseCalls(): number;
}

class Broken {
  uses: number | undefined;

  spend(): void {
    if (this.uses === undefined) return;
    this.uses -= 1;
    if (this.uses < 0) {
      this.uses = undefined;
      throw new ServiceError('LEASE_EXPIRED');
    }
  }
}

/** Any tenant exists. */
export function createMemoryKeys(): MemoryKeys {
  const tenants = new Map<TenantId, MemoryTenant>();
  const closed = new Set<number>();
  const broken = new Broken();
  let mayReturn = true;
  let calls = 0;
  const tenantOf = (tenantId: TenantId): MemoryTenant => {
    const known = tenants.get(tenantId) ?? newTenant();
    tenants.set(tenantId, known);
    return known;
  };
  const contributors = (tenantId: TenantId, month: number) => {
    const { contributorKeys } = tenantOf(tenantId);
    const secret = contributorKeys.get(month) ?? randomBytes(32);
    contributorKeys.set(month, secret);
    return createContributorMaker(createSecretKey(secret));
  };
  return {
    leaseForSeal: async (tenantId, requests) => {
      calls += 1;
      const tenant = tenantOf(tenantId);
      return requests.map((request) => sealLease(tenant, tenantId, request, mayReturn, broken));
    },
    leaseForOpen: async (tenantId, requests) =>
      requests.map((request) => openLease(tenantOf(tenantId), tenantId, request, broken)),
    tokens: async (tenantId) => createTokenMaker(createSecretKey(tenantOf(tenantId).tokenKey)),
    contributors: async (tenantId, month) =>
      closed.has(month) ? undefined : contributors(tenantId, month),
    resolvePersons: async (tenantId, tokens) =>
      tokens.map((token) => [tenantOf(tenantId).aliases.get(token) ?? token]),
    evict: () => {},
    start: async () => {},
    stop: async () => {},
    fencePerson: (tenantId, person, cutOffMs) => fence(tenantOf(tenantId), person, cutOffMs),
    rotate: (tenantId, scope) => {
      const key = tenantOf(tenantId).keys.get(scopeText(scope))?.at(-1);
      key?.dataKeys.push(createDataKey(randomBytes(32)));
    },
    breakLeasesAfter: (uses) => {
      broken.uses = uses;
    },
    allowReturning: (allowed) => {
      mayReturn = allowed;
    },
    closeMonth: (month) => {
      closed.add(month);
    },
    leaseCalls: () => calls,
  };
}

function newTenant(): MemoryTenant {
  return {
    tokenKey: randomBytes(32),
    contributorKeys: new Map(),
    keys: new Map(),
    cutOffs: new Map(),
    aliases: new Map(),
  };
}

function newKey(
  tenant: MemoryTenant,
  scope: Scope,
  incarnation: number,
  owner: MemoryKey['owner'],
): MemoryKey {
  const key = {
    scope,
    incarnation,
    dataKeys: [createDataKey(randomBytes(32))],
    digestSecret: randomBytes(32),
    owner,
    erased: false,
  };
  const text = scopeText(scope);
  tenant.keys.set(text, [...(tenant.keys.get(text) ?? []), key]);
  return key;
}

function refusal(status: LeaseRefusal['status'], scope: Scope, incarnation = 0): LeaseRefusal {
  return { granted: false, status, scope, incarnation };
}

function keyToSeal(
  tenant: MemoryTenant,
  request: SealRequest,
  mayReturn: boolean,
): MemoryKey | LeaseRefusal {
  const { scope, createFor } = request;
  const newest = tenant.keys.get(scopeText(scope))?.at(-1);
  if (newest !== undefined && !newest.erased) return newest;
  if (scope.kind === 'facts') return newKey(tenant, scope, 1, undefined);
  if (scope.kind === 'person') {
    if (newest !== undefined && !mayReturn) return refusal('erased', scope, newest.incarnation);
    return newKey(tenant, scope, (newest?.incarnation ?? 0) + 1, undefined);
  }
  if (newest !== undefined) return refusal('erased', scope, newest.incarnation);
  if (createFor === undefined) return refusal('unknown_ticket', scope);
  const owners = tenant.keys.get(`person/${createFor.token}`) ?? [];
  const owner = owners.find((key) => key.incarnation === createFor.incarnation);
  if (owner === undefined || owner.erased) return refusal('owner_fenced', scope);
  return newKey(tenant, scope, 1, createFor);
}

function sealLease(
  tenant: MemoryTenant,
  tenantId: TenantId,
  request: SealRequest,
  mayReturn: boolean,
  broken: Broken,
): SealLease | LeaseRefusal {
  const key = keyToSeal(tenant, request, mayReturn);
  if ('granted' in key) return key;
  const dataKey = key.dataKeys.at(-1);
  if (dataKey === undefined) throw new RangeError('a key without data key');
  const held = heldLease(tenant, tenantId, key, dataKey, broken);
  return { ...held, take: () => broken.spend() };
}

function openLease(
  tenant: MemoryTenant,
  tenantId: TenantId,
  request: OpenRequest,
  broken: Broken,
): HeldLease | LeaseRefusal {
  const { scope, incarnation, keyId } = request;
  const key = tenant.keys.get(scopeText(scope))?.find((one) => one.incarnation === incarnation);
  if (key?.erased === true) return refusal('erased', scope, incarnation);
  const dataKey = key?.dataKeys.find((one) => one.keyId.equals(keyId));
  if (key === undefined || dataKey === undefined) return refusal('unknown_key', scope);
  return heldLease(tenant, tenantId, key, dataKey, broken);
}

function heldLease(
  tenant: MemoryTenant,
  tenantId: TenantId,
  key: MemoryKey,
  dataKey: DataKey,
  broken: Broken,
): HeldLease {
  return {
    granted: true,
    tenantId,
    scope: key.scope,
    incarnation: key.incarnation,
    dataKey,
    digestKey: createSecretKey(key.digestSecret),
    owner: key.owner,
    fenceCutOffMs: tenant.cutOffs.get(scopeText(key.scope)),
    assertUsable: () => {
      broken.spend();
      if (key.erased) throw new ServiceError('LEASE_EXPIRED');
    },
  };
}

function fence(tenant: MemoryTenant, person: Token, cutOffMs: number): readonly MemoryFenced[] {
  const personScope: Scope = { kind: 'person', token: person };
  const incarnation = tenant.keys.get(scopeText(personScope))?.at(-1)?.incarnation ?? 0;
  tenant.cutOffs.set(scopeText(personScope), cutOffMs);
  const fenced = [...tenant.keys.values()].flat().filter((key) => {
    const isTheirs = key.owner?.token === person && key.owner.incarnation <= incarnation;
    return !key.erased && (scopeText(key.scope) === scopeText(personScope) || isTheirs);
  });
  for (const key of fenced) {
    key.erased = true;
    key.dataKeys.length = 0;
  }
  return fenced.map((key) => ({ scope: key.scope, incarnation: key.incarnation, cutOffMs }));
}
