import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { TenantId } from '@lethe/platform/ids/ids.ts';
import { isTenantId } from '@lethe/platform/ids/ids.ts';
import type { HeldLease, KeyClient, LeaseRefusal } from '@lethe/platform/key-client/port.ts';
import { poisonReasonOf } from '@lethe/platform/parking/poison.ts';
import { openEvent, openRequestsOf, type PartOpenRequest } from '@lethe/platform/sealing/event.ts';
import {
  type Record as LogRecord,
  ScopeKind,
  type SealedPart,
} from '@lethe/proto/gen/lethe/log/v1/record.ts';
import { eventShapes } from '@lethe/proto/gen/shapes.ts';
import { cellChangesOf, isCounted } from '../domain/contributions.ts';
import type { CountedEvent } from '../domain/counted-event.ts';

type FactsAnswer = HeldLease | LeaseRefusal | ServiceError;

/** Leases of facts keys by tenant, incarnation and key id; an error where the question itself was wrong. */
export type FactsLeases = ReadonlyMap<string, FactsAnswer>;

/**
 * Leases every facts key that these records name: one call per tenant, however many records there are. Throws what the
 * key client throws; nothing was read then, and the chunk is polled again.
 */
export async function leaseFacts(
  keyClient: Pick<KeyClient, 'leaseForOpen'>,
  records: readonly LogRecord[],
): Promise<FactsLeases> {
  const wanted = new Map<TenantId, Map<string, PartOpenRequest>>();
  for (const record of records) {
    const tenantId = record.header?.tenantId ?? '';
    if (!isFolded(record) || !isTenantId(tenantId)) continue;
    const ofTenant = wanted.get(tenantId) ?? new Map<string, PartOpenRequest>();
    wanted.set(tenantId, ofTenant);
    const facts = record.parts.find(({ scopeKind }) => scopeKind === ScopeKind.SCOPE_KIND_FACTS);
    // Nearly every record names a key that is wanted already.
    if (facts === undefined || ofTenant.has(leaseKeyOf(tenantId, facts))) continue;
    for (const request of factsRequests(record)) {
      ofTenant.set(leaseKeyOf(tenantId, request.part), request);
    }
  }
  const leases = new Map<string, FactsAnswer>();
  for (const [tenantId, ofTenant] of wanted) {
    const answers = await leaseOrSayWhyNot(keyClient, tenantId, [...ofTenant.values()]);
    [...ofTenant.keys()].forEach((leaseKey, index) => {
      const answer = answers[index];
      if (answer !== undefined) leases.set(leaseKey, answer);
    });
  }
  return leases;
}

// A tenant that does not exist, or a key that cannot be asked for, must not fail the leases of the other records: what
// is wrong is said by opening the record that named it.
async function leaseOrSayWhyNot(
  keyClient: Pick<KeyClient, 'leaseForOpen'>,
  tenantId: TenantId,
  requests: readonly PartOpenRequest[],
): Promise<readonly FactsAnswer[]> {
  try {
    return await keyClient.leaseForOpen(tenantId, requests);
  } catch (error) {
    if (!(error instanceof ServiceError) || poisonReasonOf(error) === undefined) throw error;
    if (requests.length < 2) return [error];
    const answers: FactsAnswer[] = [];
    for (const request of requests) {
      answers.push(...(await leaseOrSayWhyNot(keyClient, tenantId, [request])));
    }
    return answers;
  }
}

// A record that was tampered with must not fail the leases of the others; opening it says what is wrong with it.
function factsRequests(record: LogRecord): readonly PartOpenRequest[] {
  try {
    return openRequestsOf(record, (kind) => kind === 'facts');
  } catch (error) {
    if (error instanceof ServiceError && error.code === 'DATA_LOSS') return [];
    throw error;
  }
}

// The key id is in the box behind its format byte.
function leaseKeyOf(tenantId: string, part: SealedPart): string {
  return `${tenantId}/${part.incarnation}/${part.box.toString('latin1', 1, 17)}`;
}

/** Whether anything of this record is counted: resealed ones were counted when they were first published. */
function isFolded(record: LogRecord): boolean {
  return !record.resealed && isCounted(record.header?.type ?? '');
}

/**
 * Opens a record's facts and nothing else of it, and says what it adds to which cells; undefined when it adds nothing.
 * Throws TAMPERED, KEY_UNKNOWN, EVENT_TYPE_UNKNOWN or MALFORMED_MESSAGE for a record that cannot be counted honestly,
 * LEASE_EXPIRED when the chunk took too long.
 */
export function countRecord(record: LogRecord, leases: FactsLeases): CountedEvent | undefined {
  const { header } = record;
  if (header === undefined || !isTenantId(header.tenantId)) {
    throw new ServiceError('TAMPERED', 'a record has no header, or one without a tenant');
  }
  if (eventShapes[header.type] === undefined) throw new ServiceError('EVENT_TYPE_UNKNOWN');
  if (!isFolded(record)) return undefined;
  const { tenantId } = header;
  const opened = openEvent({ record, leaseOf: (part) => leaseOfPart(tenantId, part, leases) });
  // Facts are erased with their tenant alone: terminal, so the record is passed over.
  if (opened.erasedParts.length > 0) return undefined;
  const changes = readChanges(header.type, opened.eventBytes);
  if (changes.length === 0) return undefined;
  return {
    tenantId,
    occurredAtMs: Number(header.occurredAtMs),
    contributor: opened.contributors.requester?.toString('hex'),
    changes,
  };
}

function leaseOfPart(
  tenantId: TenantId,
  part: SealedPart,
  leases: FactsLeases,
): HeldLease | LeaseRefusal | 'skip' {
  if (part.scopeKind !== ScopeKind.SCOPE_KIND_FACTS) return 'skip';
  const lease = leases.get(leaseKeyOf(tenantId, part));
  // Skipping facts would count the event as one of unknown everything.
  if (lease === undefined) throw new ServiceError('KEYS_UNAVAILABLE', 'facts without a lease');
  if (lease instanceof ServiceError) throw lease;
  return lease;
}

function readChanges(type: string, eventBytes: Uint8Array): CountedEvent['changes'] {
  try {
    return cellChangesOf(type, eventBytes);
  } catch (error) {
    throw new ServiceError('MALFORMED_MESSAGE', `facts of a ${type} cannot be decoded`, {
      cause: error,
    });
  }
}
