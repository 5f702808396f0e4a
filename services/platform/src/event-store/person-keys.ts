import { scopeText, type Token } from '../ids/ids.ts';
import type { SealLease } from '../key-client/port.ts';
import type { ErasedPart } from '../sealing/event.ts';
import type { AppendItem, NamedPerson } from './family.ts';
import type { Fences } from './fences.ts';
import { LeaseAgain } from './lease-again.ts';
import type { BatchLeases } from './leasing.ts';

/** What a batch knows of its persons. */
export interface PersonKnowledge {
  readonly leases: BatchLeases;
  readonly fences: Fences;
}

/** The keys of the persons of an event, by part name. */
export type PersonKeys = ReadonlyMap<string, SealLease | ErasedPart>;

/** Cut-off of the newest fence of a leased person: what keys said with the lease, or what stands here. */
export function cutOffMsOf(lease: SealLease, fences: Fences): number | undefined {
  const fence = fences.get(scopeText(lease.scope));
  if (fence === undefined) return lease.fenceCutOffMs;
  // Its incarnation was fenced since it was leased: keys knew before we did, so a fresh lease is a newer one.
  if (lease.incarnation <= fence.incarnation) throw new LeaseAgain({ stale: [lease.scope] });
  return Math.max(fence.cutOffMs, lease.fenceCutOffMs ?? fence.cutOffMs);
}

/**
 * The keys of the persons that an event names, by part. A person who is erased, or was when it happened, gets an
 * erased part: the event is stored without them.
 */
export function personKeysOf<Command>(
  item: AppendItem<Command>,
  known: PersonKnowledge,
): PersonKeys {
  return new Map(
    item.persons.map((person) => [person.part, personKeyOf(person, item.occurredAtMs, known)]),
  );
}

function personKeyOf(
  person: NamedPerson,
  occurredAtMs: number,
  { leases, fences }: PersonKnowledge,
): SealLease | ErasedPart {
  const lease = leases.persons.get(person.token);
  if (lease === undefined) throw new RangeError(`no lease was asked for person ${person.token}`);
  // Refused: erased, and the tenant lets no erased person come back.
  if (!lease.granted) return { erased: true, scope: lease.scope, incarnation: lease.incarnation };
  const cutOffMs = cutOffMsOf(lease, fences);
  return cutOffMs === undefined || occurredAtMs >= cutOffMs
    ? lease
    : { erased: true, scope: lease.scope, incarnation: lease.incarnation - 1 };
}

/** Canonical tokens of the persons who are not erased, by part. */
export function livingTokens(keys: PersonKeys): ReadonlyMap<string, Token> {
  const tokens = new Map<string, Token>();
  for (const [part, held] of keys) {
    if ('granted' in held && held.scope.kind === 'person') tokens.set(part, held.scope.token);
  }
  return tokens;
}

/** Canonical token of the person of a part; undefined when the part is erased or not there. */
export function livingToken(keys: PersonKeys, part: string | undefined): Token | undefined {
  const held = part === undefined ? undefined : keys.get(part);
  if (held === undefined || !('granted' in held)) return undefined;
  return held.scope.kind === 'person' ? held.scope.token : undefined;
}
