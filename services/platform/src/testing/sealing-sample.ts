import { createHash } from 'node:crypto';
import type { Record as LogRecord, RecordHeader } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import { PersonKind } from '@lethe/proto/gen/lethe/people/v1/person.ts';
import { AuthorKind } from '@lethe/proto/gen/lethe/tickets/v1/event_enums.ts';
import { MessageAdded } from '@lethe/proto/gen/lethe/tickets/v1/events.ts';
import { type EventShape, eventShapes } from '@lethe/proto/gen/shapes.ts';
import { eventIdBytes, type EventId, type TenantId, type Token } from '../ids/ids.ts';
import type { SealLease } from '../key-client/port.ts';
import type { RandomBytes } from '../lifecycle/clock.ts';
import {
  type Contributors,
  type ErasedPart,
  type EventPart,
  type EventToSeal,
  sealEvent,
  splitEvent,
} from '../sealing/event.ts';
import { testLease } from './test-lease.ts';

/** Bytes that anyone can make again: SHAKE256 of the label. */
export function labelledBytes(label: string, sizeBytes: number): Buffer {
  return createHash('shake256', { outputLength: sizeBytes }).update(label).digest();
}

/** A source of "random" bytes that gives the same ones in the same order. */
export function labelledRandomness(label: string): RandomBytes {
  let calls = 0;
  return (sizeBytes) => {
    calls += 1;
    return labelledBytes(`${label}/${calls}`, sizeBytes);
  };
}

export function shapeOf(type: string): EventShape {
  const shape = eventShapes[type];
  if (shape === undefined) throw new RangeError(`no event type ${type}`);
  return shape;
}

const tokenOf = (label: string): Token => labelledBytes(label, 16).toString('hex') as Token;

/** An event with every kind of part, one of them erased before it arrived, and the leases to seal and open it. */
export interface SealingSample {
  readonly event: EventToSeal;
  readonly eventBytes: Buffer;
  readonly leases: ReadonlyMap<string, SealLease | ErasedPart>;
  readonly contributors: Contributors;
  /** Sealed anew at each call, with the same nonces. */
  readonly sealed: () => LogRecord;
}

const tenantId = 'acme' as TenantId;
const erasedPerson: ErasedPart = {
  erased: true,
  scope: { kind: 'person', token: tokenOf('person/erased') },
  incarnation: 1,
};

function sampleEventBytes(): Buffer {
  const person = (naturalId: string, name: string, email: string) => ({
    kind: PersonKind.PERSON_KIND_REQUESTER,
    naturalId,
    name,
    email,
  });
  const event = MessageAdded.fromPartial({
    facts: { isPublic: true, authorKind: AuthorKind.AUTHOR_KIND_REQUESTER },
    content: { body: 'The printer on floor 3 says “PC LOAD LETTER”.' },
    author: person('u-1001', 'Ada Beispiel', 'ada@example.com'),
    cc: [
      person('u-1002', 'Bo Muster', 'bo@example.com'),
      person('u-1003', 'Cy Exemple', 'cy@example.com'),
    ],
  });
  return Buffer.from(MessageAdded.encode(event).finish());
}

function sampleHeader(): RecordHeader {
  return {
    tenantId,
    eventId: eventIdBytes('0198c1de-5f00-7abc-8def-0123456789ab' as EventId),
    type: 'MessageAdded',
    streamToken: labelledBytes('ticket', 16),
    position: 2n,
    occurredAtMs: 1_753_000_000_123n,
    recordedAtMs: 1_753_000_001_456n,
    schemaVersion: 1,
    causationId: eventIdBytes('0198c1de-5e00-7abc-8def-0123456789aa' as EventId),
  };
}

function sampleLeases(): ReadonlyMap<string, SealLease | ErasedPart> {
  const person = (label: string, incarnation: number): SealLease =>
    testLease({
      tenantId,
      scope: { kind: 'person', token: tokenOf(`person/${label}`) },
      secretBytes: labelledBytes(`data key/person/${label}`, 32),
      incarnation,
    });
  return new Map<string, SealLease | ErasedPart>([
    [
      'facts',
      testLease({
        tenantId,
        scope: { kind: 'facts' },
        secretBytes: labelledBytes('data key/facts', 32),
        incarnation: 1,
      }),
    ],
    [
      'content',
      testLease({
        tenantId,
        scope: { kind: 'ticket', token: tokenOf('ticket') },
        secretBytes: labelledBytes('data key/ticket', 32),
        incarnation: 1,
      }),
    ],
    ['author', person('author', 2)],
    ['cc/0', person('cc', 1)],
    ['cc/1', erasedPerson],
  ]);
}

/** The one sample that the laws' exhaustive tests and the published vectors use. */
export function sealingSample(): SealingSample {
  const shape = shapeOf('MessageAdded');
  const eventBytes = sampleEventBytes();
  const leases = sampleLeases();
  const leaseOf = (part: EventPart): SealLease | ErasedPart => {
    const lease = leases.get(part.name);
    if (lease === undefined) throw new RangeError(`the sample has no lease for ${part.name}`);
    return lease;
  };
  const contributors = {
    requester: labelledBytes('contributor/requester', 8),
    agent: undefined,
  };
  const event = (): EventToSeal => ({
    shape,
    header: sampleHeader(),
    parts: splitEvent(shape, eventBytes),
    leaseOf,
    contributors,
    randomBytes: labelledRandomness('nonce'),
  });
  const sealed = (): LogRecord => {
    const sample = event();
    return {
      header: sample.header,
      parts: sealEvent(sample),
      clearPayload: Buffer.alloc(0),
      resealed: false,
      traceContext: Buffer.alloc(0),
    };
  };
  return { event: event(), eventBytes, leases, contributors, sealed };
}
