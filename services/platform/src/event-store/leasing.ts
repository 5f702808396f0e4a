import { ServiceError } from '../errors/service-error.ts';
import type { Scope, TenantId, Token } from '../ids/ids.ts';
import type {
  ContributorMaker,
  KeyClient,
  LeaseRefusal,
  SealLease,
  SealRequest,
} from '../key-client/port.ts';
import type { AppendItem, EventFamily } from './family.ts';

type PersonLeases = ReadonlyMap<Token, SealLease | LeaseRefusal>;

/** Every key that a batch may need, leased before its transaction begins. */
export interface BatchLeases {
  readonly facts: SealLease;
  /** By the token that the item names. */
  readonly persons: PersonLeases;
  /** By the item's stream token. */
  readonly streams: ReadonlyMap<Token, SealLease | LeaseRefusal>;
  /** By month; none for a closed one. */
  readonly contributors: ReadonlyMap<number, ContributorMaker>;
}

export interface BatchToLease<Command, State> {
  readonly family: EventFamily<Command, State>;
  readonly tenantId: TenantId;
  readonly items: readonly AppendItem<Command>[];
  /** See EventStoreOptions. */
  readonly fenceSkewMs: number;
}

/** How often an owner is leased anew because their incarnation was fenced meanwhile. */
const ownerAttemptsMax = 3;

/** Calendar month in UTC as year * 12 + (month - 1). */
export function monthOf(timeMs: number): number {
  const date = new Date(timeMs);
  return date.getUTCFullYear() * 12 + date.getUTCMonth();
}

/**
 * Leases for a batch in as few calls as there can be: persons and facts, then tickets (whose creation names the
 * owner's incarnation), then the months' contributor keys. Refusals are part of the answer.
 */
export async function leaseBatch<Command, State>(
  keys: KeyClient,
  batch: BatchToLease<Command, State>,
): Promise<BatchLeases> {
  const contributors = await leaseContributors(keys, batch);
  for (let attempt = 1; ; attempt += 1) {
    const { facts, persons } = await leasePersons(keys, batch);
    if (batch.family.streamKind === 'person') {
      return { facts, persons, streams: persons, contributors };
    }
    const streams = await leaseTickets(keys, batch, persons);
    const fencedOwners = ownersToLeaseAnew(batch, persons, streams);
    if (fencedOwners.length === 0) return { facts, persons, streams, contributors };
    if (attempt === ownerAttemptsMax) {
      throw new ServiceError(
        'LEASE_EXPIRED',
        'owners were fenced faster than they could be leased',
      );
    }
    for (const scope of fencedOwners) keys.evict(batch.tenantId, scope);
  }
}

async function leaseContributors<Command, State>(
  keys: KeyClient,
  { tenantId, items }: BatchToLease<Command, State>,
): Promise<ReadonlyMap<number, ContributorMaker>> {
  const events = items.filter((item) => item.isObservation !== true);
  const months = [...new Set(events.map((item) => monthOf(item.occurredAtMs)))];
  const makers = await Promise.all(months.map((month) => keys.contributors(tenantId, month)));
  const byMonth = new Map<number, ContributorMaker>();
  for (const [index, month] of months.entries()) {
    const maker = makers[index];
    if (maker !== undefined) byMonth.set(month, remembering(maker));
  }
  return byMonth;
}

// A batch names the same people again and again: each is hashed once.
function remembering(maker: ContributorMaker): ContributorMaker {
  const known = new Map<Token, Buffer>();
  return (person) => {
    const hash = known.get(person) ?? maker(person);
    known.set(person, hash);
    return hash;
  };
}

async function leasePersons<Command, State>(
  keys: KeyClient,
  { tenantId, items }: BatchToLease<Command, State>,
): Promise<{ readonly facts: SealLease; readonly persons: PersonLeases }> {
  const needs = new Map<Token, PersonNeed>();
  for (const item of items) {
    for (const person of item.persons) {
      const need = needs.get(person.token) ?? { aliases: new Set(), messages: 0, bytes: 0 };
      for (const alias of person.aliases) need.aliases.add(alias);
      need.messages += 1;
      need.bytes += item.eventBytes.length;
      needs.set(person.token, need);
    }
  }
  const [facts, ...leases] = await keys.leaseForSeal(tenantId, [
    factsRequest(items),
    ...[...needs].map(([token, need]) => personRequest(token, need)),
  ]);
  await registerFurtherAliases(keys, tenantId, needs);
  if (facts === undefined || !facts.granted) {
    throw new ServiceError('TENANT_UNKNOWN', `tenant ${tenantId} has no facts key`);
  }
  return { facts, persons: byToken([...needs.keys()], leases) };
}

interface PersonNeed {
  readonly aliases: Set<Token>;
  messages: number;
  bytes: number;
}

/** keys takes so many aliases of one person in a request. */
const aliasesPerRequestMax = 64;

// Events of one batch may name ever more ids of the same person.
async function registerFurtherAliases(
  keys: KeyClient,
  tenantId: TenantId,
  needs: ReadonlyMap<Token, PersonNeed>,
): Promise<void> {
  for (const [token, { aliases }] of needs) {
    const all = [...aliases];
    for (let from = aliasesPerRequestMax; from < all.length; from += aliasesPerRequestMax) {
      const further = all.slice(from, from + aliasesPerRequestMax);
      await keys.leaseForSeal(tenantId, [{ scope: { kind: 'person', token }, aliases: further }]);
    }
  }
}

/** Facts are small, and an event brings at most a milestone or two of its own. */
const factsPerItemMax = 3;
const factsBytesMax = 512;

function factsRequest(items: readonly AppendItem<unknown>[]): SealRequest {
  const messages = items.length * factsPerItemMax;
  return { scope: { kind: 'facts' }, messages, plaintextBytes: messages * factsBytesMax };
}

function personRequest(token: Token, need: PersonNeed): SealRequest {
  return {
    scope: { kind: 'person', token },
    aliases: [...need.aliases].slice(0, aliasesPerRequestMax),
    messages: need.messages,
    plaintextBytes: need.bytes,
  };
}

/** Beside the contents of the events, a batch seals the state of each stream once. */
const stateBytesMax = 16 * 1024;

function ticketRequest(
  request: SealRequest | undefined,
  item: AppendItem<unknown>,
  createFor: SealRequest['createFor'],
): SealRequest {
  const { messages = 1, plaintextBytes = stateBytesMax } = request ?? {};
  const owner = request?.createFor ?? createFor;
  return {
    scope: { kind: 'ticket', token: item.streamToken },
    messages: messages + 1,
    plaintextBytes: plaintextBytes + item.eventBytes.length,
    ...(owner === undefined ? {} : { createFor: owner }),
  };
}

async function leaseTickets<Command, State>(
  keys: KeyClient,
  batch: BatchToLease<Command, State>,
  persons: PersonLeases,
): Promise<ReadonlyMap<Token, SealLease | LeaseRefusal>> {
  const requests = new Map<Token, SealRequest>();
  for (const item of batch.items) {
    const owner = ownerLease(item, persons);
    // A ticket that was opened before its owner's erasure belongs to the erased incarnation: it gets no key again.
    const createFor =
      owner === undefined || precedesFence(owner, item.occurredAtMs - batch.fenceSkewMs)
        ? undefined
        : { token: owner.scope.token, incarnation: owner.incarnation };
    requests.set(item.streamToken, ticketRequest(requests.get(item.streamToken), item, createFor));
  }
  return byToken(
    [...requests.keys()],
    await keys.leaseForSeal(batch.tenantId, [...requests.values()]),
  );
}

type PersonLease = SealLease & {
  readonly scope: { readonly kind: 'person'; readonly token: Token };
};

function isPersonLease(lease: SealLease): lease is PersonLease {
  return lease.scope.kind === 'person';
}

/** The granted lease of the person who owns the stream that the item opens. */
export function ownerLease<Command>(
  item: AppendItem<Command>,
  persons: PersonLeases,
): PersonLease | undefined {
  const owner = item.persons.find((person) => person.part === item.ownerPart);
  const lease = owner === undefined ? undefined : persons.get(owner.token);
  return lease?.granted === true && isPersonLease(lease) ? lease : undefined;
}

/** Whether what happened at this moment belongs to an erased incarnation of the person. */
function precedesFence(lease: SealLease, occurredAtMs: number): boolean {
  return lease.fenceCutOffMs !== undefined && occurredAtMs < lease.fenceCutOffMs;
}

// A cached lease of an owner may be of an incarnation that keys has fenced since: creating the ticket tells.
function ownersToLeaseAnew<Command, State>(
  { items }: BatchToLease<Command, State>,
  persons: PersonLeases,
  tickets: ReadonlyMap<Token, SealLease | LeaseRefusal>,
): readonly Scope[] {
  const scopes: Scope[] = [];
  for (const item of items) {
    const lease = tickets.get(item.streamToken);
    if (lease === undefined || lease.granted || lease.status !== 'owner_fenced') continue;
    const owner = ownerLease(item, persons);
    if (owner !== undefined) scopes.push(owner.scope);
  }
  return scopes;
}

function byToken<Lease>(
  tokens: readonly Token[],
  leases: readonly Lease[],
): ReadonlyMap<Token, Lease> {
  return new Map(
    tokens.map((token, index) => {
      const lease = leases[index];
      if (lease === undefined) throw new RangeError('fewer leases than requests');
      return [token, lease];
    }),
  );
}
