import type { Record as LogRecord } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import { type EventShape, eventShapes, type PartKind } from '@lethe/proto/gen/shapes.ts';
import { ServiceError } from '../errors/service-error.ts';
import { type EventId, eventIdFromBytes, type Scope, type TenantId } from '../ids/ids.ts';
import type { HeldLease, KeyClient, LeaseRefusal, OpenRequest } from '../key-client/port.ts';
import { leaseByPart, openEvent, openRequestsOf } from '../sealing/event.ts';
import { openRequestOfValue, openValue } from '../sealing/value.ts';
import type { StateCodec } from './family.ts';
import type { StreamRow } from './streams.ts';

/** A record as far as it can be read. */
export interface OpenedRecord {
  readonly eventId: EventId;
  readonly position: bigint;
  readonly occurredAtMs: number;
  readonly shape: EventShape;
  /** The event without the parts that are erased or were not wanted. */
  readonly eventBytes: Buffer;
  readonly erasedParts: readonly string[];
  readonly record: LogRecord;
}

/** What to open in one call: every lease is asked for at once. */
export interface ToOpen<State> {
  readonly records: readonly LogRecord[];
  /** Which kinds of parts the reader wants. */
  readonly wants: (kind: PartKind) => boolean;
  readonly states: readonly { readonly stream: StreamRow; readonly scope: Scope }[];
  readonly codec: StateCodec<State>;
}

export interface Opened<State> {
  readonly records: readonly OpenedRecord[];
  /** In the order of `states`; `erased` when the stream's key is gone. */
  readonly states: readonly (State | 'erased')[];
}

const attemptsMax = 3;

const noState: StateCodec<never> = {
  name: '',
  encode: () => {
    throw new RangeError('no state was asked for');
  },
  decode: () => {
    throw new RangeError('no state was asked for');
  },
};

/** `openAll` without states. */
export async function openRecords(
  keys: KeyClient,
  tenantId: TenantId,
  records: readonly LogRecord[],
  wants: (kind: PartKind) => boolean,
): Promise<readonly OpenedRecord[]> {
  const opened = await openAll(keys, tenantId, { records, wants, states: [], codec: noState });
  return opened.records;
}

/**
 * Leases and opens. A lease that runs out or is revoked in between is asked for again: an erasure that happens
 * meanwhile is then answered as erased. Throws TAMPERED, KEY_UNKNOWN, KEYS_UNAVAILABLE.
 */
export async function openAll<State>(
  keys: KeyClient,
  tenantId: TenantId,
  toOpen: ToOpen<State>,
): Promise<Opened<State>> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await openOnce(keys, tenantId, toOpen);
    } catch (error) {
      const isLate = error instanceof ServiceError && error.reason === 'LEASE_EXPIRED';
      if (!isLate || attempt === attemptsMax) throw error;
    }
  }
}

async function openOnce<State>(
  keys: KeyClient,
  tenantId: TenantId,
  { records, wants, states, codec }: ToOpen<State>,
): Promise<Opened<State>> {
  const stateRequests = states.map(({ stream, scope }) => stateRequest(stream, scope));
  const recordRequests = records.map((record) => openRequestsOf(record, wants));
  const leases = await keys.leaseForOpen(tenantId, [...stateRequests, ...recordRequests.flat()]);
  let next = stateRequests.length;
  return {
    states: states.map(({ stream }, index) =>
      openState(tenantId, codec, stream, required(leases[index])),
    ),
    records: records.map((record, index) => {
      const requests = recordRequests[index] ?? [];
      const answers = leases.slice(next, next + requests.length);
      next += requests.length;
      return openedRecord(record, openEvent({ record, leaseOf: leaseByPart(requests, answers) }));
    }),
  };
}

function stateRequest(stream: StreamRow, scope: Scope): OpenRequest {
  return openRequestOfValue(scope, stream.incarnation, stream.state ?? Buffer.alloc(0));
}

function required<Lease>(lease: Lease | undefined): Lease {
  if (lease === undefined) throw new RangeError('fewer leases than requests');
  return lease;
}

function openState<State>(
  tenantId: TenantId,
  codec: StateCodec<State>,
  stream: StreamRow,
  lease: HeldLease | LeaseRefusal,
): State | 'erased' {
  if (!lease.granted) {
    if (lease.status === 'erased') return 'erased';
    throw new ServiceError('KEY_UNKNOWN', `state of stream ${stream.token}: ${lease.status}`);
  }
  if (stream.state === undefined) throw new RangeError(`stream ${stream.token} has no state`);
  const { token: streamToken, version } = stream;
  const binding = { tenantId, name: codec.name, streamToken, version };
  return codec.decode(openValue(lease, binding, stream.state));
}

function openedRecord(
  record: LogRecord,
  opened: { readonly eventBytes: Buffer; readonly erasedParts: readonly string[] },
): OpenedRecord {
  const { header } = record;
  const shape = header === undefined ? undefined : eventShapes[header.type];
  if (header === undefined || shape === undefined) {
    throw new ServiceError('EVENT_TYPE_UNKNOWN', `event type ${header?.type ?? 'without header'}`);
  }
  return {
    eventId: eventIdFromBytes(header.eventId),
    position: header.position,
    occurredAtMs: Number(header.occurredAtMs),
    shape,
    eventBytes: opened.eventBytes,
    erasedParts: opened.erasedParts,
    record,
  };
}
