import { Record as LogRecord } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import { type EventId, eventIdBytes, type TenantId, type Token, tokenBytes } from '../ids/ids.ts';
import type { SealLease } from '../key-client/port.ts';
import type { RandomBytes } from '../lifecycle/clock.ts';
import {
  type Contributors,
  type ErasedPart,
  type EventPart,
  sealEvent,
  splitEvent,
} from '../sealing/event.ts';
import type { DecidedEvent } from './family.ts';

/** Whose key seals each part of an event. */
export interface PartKeys {
  readonly facts: SealLease;
  readonly stream: SealLease;
  /** By part name. */
  readonly persons: ReadonlyMap<string, SealLease | ErasedPart>;
}

export interface RecordToSeal {
  readonly tenantId: TenantId;
  readonly eventId: EventId;
  readonly streamToken: Token;
  readonly position: number;
  readonly occurredAtMs: number;
  readonly recordedAtMs: number;
  readonly causationId: EventId | undefined;
  readonly event: DecidedEvent;
  readonly partKeys: PartKeys;
  readonly contributors: Contributors;
  /** See lethe.log.v1.Record. */
  readonly traceContext?: Buffer | undefined;
}

const nothing = Buffer.alloc(0);

/** The encoded record of an event. Synchronous; throws LEASE_EXPIRED or LEASE_CLAIM_EXHAUSTED. */
export function sealRecord(toSeal: RecordToSeal, randomBytes: RandomBytes): Uint8Array {
  const { event, partKeys } = toSeal;
  const header = {
    tenantId: toSeal.tenantId,
    eventId: eventIdBytes(toSeal.eventId),
    type: event.shape.type,
    streamToken: tokenBytes(toSeal.streamToken),
    position: BigInt(toSeal.position),
    occurredAtMs: BigInt(toSeal.occurredAtMs),
    recordedAtMs: BigInt(toSeal.recordedAtMs),
    schemaVersion: event.shape.schemaVersion,
    causationId: toSeal.causationId === undefined ? nothing : eventIdBytes(toSeal.causationId),
  };
  const parts = sealEvent({
    shape: event.shape,
    header,
    parts: splitEvent(event.shape, event.eventBytes),
    leaseOf: (part) => leaseOfPart(part, partKeys),
    contributors: toSeal.contributors,
    randomBytes,
  });
  const traceContext = toSeal.traceContext ?? nothing;
  return LogRecord.encode({
    header,
    parts,
    clearPayload: nothing,
    resealed: false,
    traceContext,
  }).finish();
}

function leaseOfPart(part: EventPart, keys: PartKeys): SealLease | ErasedPart {
  if (part.kind === 'facts') return keys.facts;
  if (part.kind === 'content') return keys.stream;
  const person = keys.persons.get(part.name);
  if (person === undefined)
    throw new RangeError(`no token was made for the person part ${part.name}`);
  return person;
}
