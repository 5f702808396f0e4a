import {
  FactsEnvelope,
  type Record as LogRecord,
  type RecordHeader,
  ScopeKind,
  type SealedPart,
} from '@lethe/proto/gen/lethe/log/v1/record.ts';
import { type EventShape, eventShapes, type PartKind } from '@lethe/proto/gen/shapes.ts';
import { ServiceError } from '../errors/service-error.ts';
import { eventIdFromBytes, type Scope } from '../ids/ids.ts';
import type { HeldLease, LeaseRefusal, OpenRequest, SealLease } from '../key-client/port.ts';
import type { RandomBytes } from '../lifecycle/clock.ts';
import { partAssociatedData } from './associated-data.ts';
import { keyIdOfBox } from './box.ts';
import { openUnder, partKindOfScope, scopeKindOfPart, scopeOfPart, sealUnder } from './part.ts';
import { encodeScope } from './scope-wire.ts';
import { joinFields, splitFields } from './wire.ts';

/** One part of an event before sealing: a top-level field of its message. */
export interface EventPart {
  /** The field's name in the generated code; "cc/0", "cc/1" for a repeated one. */
  readonly name: string;
  readonly kind: PartKind;
  readonly fieldNumber: number;
  /** The encoded message of the field; a view into the event's bytes. */
  readonly bytes: Buffer;
}

/** A part whose scope was erased before the event arrived: it is listed and has no box. */
export interface ErasedPart {
  readonly erased: true;
  readonly scope: Scope;
  readonly incarnation: number;
}

/** 8-byte keyed hashes that lie beside the facts in their box; docs/sealing-format.md. */
export interface Contributors {
  readonly requester?: Buffer | undefined;
  readonly agent?: Buffer | undefined;
}

export interface EventToSeal {
  readonly shape: EventShape;
  readonly header: RecordHeader;
  readonly parts: readonly EventPart[];
  readonly leaseOf: (part: EventPart) => SealLease | ErasedPart;
  readonly contributors?: Contributors | undefined;
  readonly randomBytes: RandomBytes;
}

/** What opening needs to know of a refusal. */
export type Refused = Pick<LeaseRefusal, 'granted' | 'status'>;

/** Answers for one part of a record. `skip`: this reader does not want it, or may not lease its kind. */
export type LeaseOfPart = (part: SealedPart) => HeldLease | Refused | 'skip';

export interface OpenedEvent {
  /** The event message without its erased and skipped parts. */
  readonly eventBytes: Buffer;
  /** Names of the parts that nobody can read any more. */
  readonly erasedParts: readonly string[];
  /** Empty unless the facts were opened. */
  readonly contributors: Contributors;
}

/** What to lease in order to open one part of a record. */
export interface PartOpenRequest extends OpenRequest {
  readonly part: SealedPart;
}

const nothing = Buffer.alloc(0);
const noKeyId = Buffer.alloc(16);
const erasedRefusal: Refused = { granted: false, status: 'erased' };

const shapesByUnionField: ReadonlyMap<string, EventShape> = new Map(
  Object.values(eventShapes).map((shape) => [`${shape.family}/${shape.unionField}`, shape]),
);

/**
 * Splits an encoded event message into its parts, in their order on the wire; joined again they give the same bytes.
 * Throws MALFORMED_MESSAGE for a field that the shape does not know and for a singular field that comes twice.
 */
export function splitEvent(shape: EventShape, eventBytes: Uint8Array): EventPart[] {
  const counts = new Map<number, number>();
  return splitFields(eventBytes).map(({ fieldNumber, bytes }) => {
    const field = shape.parts.find((part) => part.fieldNumber === fieldNumber);
    const count = counts.get(fieldNumber) ?? 0;
    counts.set(fieldNumber, count + 1);
    if (field === undefined || (count > 0 && !field.repeated)) {
      const rule = field === undefined ? 'which it does not know' : 'more than once';
      throw new ServiceError(
        'MALFORMED_MESSAGE',
        `${shape.type} has field ${fieldNumber}, ${rule}`,
      );
    }
    const name = field.repeated ? `${field.name}/${count}` : field.name;
    return { name, kind: field.kind, fieldNumber, bytes };
  });
}

/** Takes the event out of its family's encoded union. Throws MALFORMED_MESSAGE unless there is exactly one. */
export function eventBytesOf(
  family: EventShape['family'],
  familyBytes: Uint8Array,
): { readonly shape: EventShape; readonly eventBytes: Buffer } {
  const [field, ...others] = splitFields(familyBytes);
  const shape = shapesByUnionField.get(`${family}/${field?.fieldNumber}`);
  if (field === undefined || shape === undefined || others.length > 0) {
    throw new ServiceError('MALFORMED_MESSAGE', `not exactly one known event of family ${family}`);
  }
  return { shape, eventBytes: field.bytes };
}

/** Puts an event back into its family's union, ready for `TicketEvent.decode` and its siblings. */
export function familyBytesOf(shape: EventShape, eventBytes: Uint8Array): Buffer {
  return joinFields([{ fieldNumber: shape.unionField, bytes: eventBytes }]);
}

function listedPart(
  header: RecordHeader,
  part: EventPart,
  lease: SealLease | ErasedPart,
): SealedPart {
  if (lease.scope.kind !== scopeKindOfPart[part.kind]) {
    throw new RangeError(`part ${part.name} cannot be sealed under a ${lease.scope.kind} scope`);
  }
  if ('granted' in lease && lease.tenantId !== header.tenantId) {
    throw new RangeError(`part ${part.name} was given a lease of another tenant`);
  }
  const { kind, token } = encodeScope(lease.scope);
  return {
    name: part.name,
    scopeKind: kind,
    scopeToken: token,
    incarnation: lease.incarnation,
    box: nothing,
    erasedAtAppend: 'erased' in lease,
  };
}

function plaintextOf(part: EventPart, contributors: Contributors = {}): Uint8Array {
  if (part.kind !== 'facts') return part.bytes;
  return FactsEnvelope.encode({
    facts: part.bytes,
    requesterContributor: contributors.requester ?? nothing,
    agentContributor: contributors.agent ?? nothing,
  }).finish();
}

/**
 * Seals the parts of an event, each under the key of its own scope and bound to the whole header and to the list of
 * all parts. Synchronous. Throws LEASE_EXPIRED or LEASE_CLAIM_EXHAUSTED; then nothing of the event may be stored.
 */
export function sealEvent(event: EventToSeal): SealedPart[] {
  const { header, randomBytes } = event;
  if (header.type !== event.shape.type) throw new RangeError('header and shape differ in type');
  if (new Set(event.parts.map(({ name }) => name)).size < event.parts.length) {
    throw new RangeError('two parts of the event have one name');
  }
  const held = event.parts.map((part) => {
    const lease = event.leaseOf(part);
    return { part, lease, listed: listedPart(header, part, lease) };
  });
  const associatedDataOf = partAssociatedData(
    header,
    held.map(({ listed }) => listed),
  );
  return held.map(({ part, lease, listed }) => {
    if ('erased' in lease) return listed;
    const plaintext = plaintextOf(part, event.contributors);
    return { ...listed, box: sealUnder(lease, associatedDataOf(listed), plaintext, randomBytes) };
  });
}

function tampered(record: LogRecord, rule: string): ServiceError {
  const id = record.header?.eventId ?? nothing;
  const event = id.length === 16 ? eventIdFromBytes(id) : 'without id';
  return new ServiceError('TAMPERED', `record of event ${event}: ${rule}`);
}

/**
 * What to lease in order to open the parts that this reader wants, by kind. Parts that were erased before they were
 * appended have nothing to open. Throws TAMPERED when a part names no scope.
 */
export function openRequestsOf(
  record: LogRecord,
  wants: (kind: PartKind) => boolean,
): PartOpenRequest[] {
  return record.parts.flatMap((part) => {
    const scope = scopeOfPart(part);
    if (scope === undefined) throw tampered(record, `part ${part.name} names no scope`);
    if (part.erasedAtAppend || !wants(partKindOfScope[scope.kind])) return [];
    // What is no box has no key id. The zeros let `keys` say whether the scope was erased, which comes first.
    const keyId = keyIdOfBox(part.box) ?? noKeyId;
    return [{ part, scope, incarnation: part.incarnation, keyId }];
  });
}

/** Pairs requests with the answers to them, in order; parts that were not asked for are skipped. */
export function leaseByPart(
  requests: readonly PartOpenRequest[],
  answers: readonly (HeldLease | LeaseRefusal)[],
): LeaseOfPart {
  const byPart = new Map(requests.map(({ part }, index) => [part, answers[index]]));
  return (part) => byPart.get(part) ?? 'skip';
}

function fieldNumberOf(shape: EventShape | undefined, partName: string): number {
  const [fieldName] = partName.split('/');
  const field = shape?.parts.find((part) => part.name === fieldName);
  if (field === undefined) {
    throw new ServiceError(
      'EVENT_TYPE_UNKNOWN',
      `part ${partName} of ${shape?.type ?? 'an event'}`,
    );
  }
  return field.fieldNumber;
}

/** The plaintext of one part, or `erased`. Erased comes before anything that the box itself could say. */
function openPart(
  record: LogRecord,
  part: SealedPart,
  lease: HeldLease | Refused,
  associatedDataOf: (part: SealedPart) => Buffer,
): Buffer | 'erased' {
  if (lease.granted) return openUnder(lease, associatedDataOf(part), part.box);
  if (lease.status === 'erased') return 'erased';
  if (keyIdOfBox(part.box) === undefined) throw tampered(record, `part ${part.name} has no box`);
  throw new ServiceError('KEY_UNKNOWN', `part ${part.name}: ${lease.status}`);
}

/**
 * Opens the parts of a record for which `leaseOf` has a lease, and puts the event together again. A part whose scope
 * was erased is named and left out. Throws TAMPERED when a box, the header or the list of parts was changed, and
 * KEY_UNKNOWN when `keys` knows neither the key nor an erasure; neither is ever taken for erased.
 */
export function openEvent(source: {
  readonly record: LogRecord;
  readonly leaseOf: LeaseOfPart;
}): OpenedEvent {
  const { record, leaseOf } = source;
  const { header, parts } = record;
  if (header === undefined) throw tampered(record, 'it has no header');
  if (parts.some((part) => scopeOfPart(part) === undefined))
    throw tampered(record, 'a part names no scope');
  if (new Set(parts.map(({ name }) => name)).size < parts.length)
    throw tampered(record, 'two parts have one name');
  const associatedDataOf = partAssociatedData(header, parts);
  const opened: { readonly part: SealedPart; readonly plaintext: Buffer }[] = [];
  const erasedParts: string[] = [];
  for (const part of parts) {
    if (part.erasedAtAppend && part.box.length > 0)
      throw tampered(record, `part ${part.name} has a box`);
    const lease = part.erasedAtAppend ? erasedRefusal : leaseOf(part);
    if (lease === 'skip') continue;
    const plaintext = openPart(record, part, lease, associatedDataOf);
    if (plaintext === 'erased') erasedParts.push(part.name);
    else opened.push({ part, plaintext });
  }
  return { ...assemble(header.type, opened), erasedParts };
}

/** Puts authenticated parts together in the order of the record, which is that of the event on the wire. */
function assemble(
  type: string,
  opened: readonly { readonly part: SealedPart; readonly plaintext: Buffer }[],
): Pick<OpenedEvent, 'eventBytes' | 'contributors'> {
  const shape = eventShapes[type];
  let contributors: Contributors = {};
  const fields = opened.map(({ part, plaintext }) => {
    const fieldNumber = fieldNumberOf(shape, part.name);
    if (part.scopeKind !== ScopeKind.SCOPE_KIND_FACTS) return { fieldNumber, bytes: plaintext };
    const envelope = FactsEnvelope.decode(plaintext);
    contributors = {
      requester: presentOf(envelope.requesterContributor),
      agent: presentOf(envelope.agentContributor),
    };
    return { fieldNumber, bytes: envelope.facts };
  });
  return { eventBytes: joinFields(fields), contributors };
}

function presentOf(contributor: Buffer): Buffer | undefined {
  return contributor.length === 0 ? undefined : contributor;
}
