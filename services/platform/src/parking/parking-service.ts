import type { Kysely } from 'kysely';
import {
  type GetParkedStreamRequest,
  type GetParkedStreamResponse,
  type ListParkedStreamsRequest,
  type ListParkedStreamsResponse,
  ParkedStreamRef,
  type ParkedEvent,
  type ParkedStream,
  type ReplayParkedStreamsRequest,
  type ReplayParkedStreamsResponse,
  ReplayState,
} from '@lethe/proto/gen/lethe/parking/v1/service.ts';
import { ServiceError } from '../errors/service-error.ts';
import { parsePageSize } from '../grpc/parse-request.ts';
import type { CallContext, ServerStreamHandler, UnaryHandler } from '../grpc/handler.ts';
import { eventIdFromBytes } from '../ids/ids.ts';
import {
  countParked,
  listParkedStreams,
  type ParkedRecordRow,
  type ParkedStreamRow,
  readParkedRecords,
} from './read.ts';
import { replayStream, type ReplayPorts, type ReplayStep } from './replay.ts';
import type { ParkedStreamId } from './store.ts';
import { decodeParked } from './stream-name.ts';

const pageSizeDefault = 100;
const pageSizeMax = 500;

/** The methods of every parking service: the services of proto/lethe/parking differ in name alone. */
export interface ParkingHandlers {
  readonly listParkedStreams: UnaryHandler<ListParkedStreamsRequest, ListParkedStreamsResponse>;
  readonly getParkedStream: UnaryHandler<GetParkedStreamRequest, GetParkedStreamResponse>;
  readonly replayParkedStreams: ServerStreamHandler<
    ReplayParkedStreamsRequest,
    ReplayParkedStreamsResponse
  >;
}

/**
 * They answer ids, tokens, types, times, sizes and reasons, all of them
 * from columns and clear headers; no box is opened.
 */
export function parkingHandlers<Schema, Prepared>(
  ports: ReplayPorts<Schema, Prepared>,
): ParkingHandlers {
  return {
    listParkedStreams: async (request) => list(ports.db, request),
    getParkedStream: async (request) => get(ports.db, request),
    replayParkedStreams: (request, call) => replay(ports, request, call),
  };
}

async function list<Schema>(
  db: Kysely<Schema>,
  { tenantId, stream, reason, pageSize, pageToken }: ListParkedStreamsRequest,
): Promise<ListParkedStreamsResponse> {
  const size = parsePageSize(pageSize, pageSizeDefault, pageSizeMax);
  const after = parseStreamToken(pageToken);
  const wish = { tenantId, stream, reason, after, rowsMax: size + 1 };
  const found = await listParkedStreams(db, wish);
  const page = found.slice(0, size);
  const last = found.length > size ? page.at(-1) : undefined;
  const inAll = await countParked(db);
  return {
    streams: page.map(streamMessage),
    nextPageToken: last === undefined ? '' : streamToken(last),
    streamsInAll: inAll.streams,
    eventsInAll: inAll.events,
  };
}

async function get<Schema>(
  db: Kysely<Schema>,
  { ref, pageSize, pageToken }: GetParkedStreamRequest,
): Promise<GetParkedStreamResponse> {
  const id = idOf(ref);
  const size = parsePageSize(pageSize, pageSizeDefault, pageSizeMax);
  const behind = parseSequenceToken(pageToken);
  const streams = await listParkedStreams(db, {
    ...id,
    reason: '',
    after: undefined,
    rowsMax: 500,
  });
  const stream = streams.find((each) => refText(each) === refText(id));
  if (stream === undefined) throw new ServiceError('PARKED_STREAM_UNKNOWN');
  const rows = await readParkedRecords(db, id, behind, size + 1);
  const page = rows.slice(0, size);
  const last = rows.length > size ? page.at(-1) : undefined;
  return {
    stream: streamMessage(stream),
    events: page.map(eventMessage),
    nextPageToken: last === undefined ? '' : last.entry.sequence.toString(),
  };
}

async function* replay<Schema, Prepared>(
  ports: ReplayPorts<Schema, Prepared>,
  { refs }: ReplayParkedStreamsRequest,
  { signal }: CallContext,
): AsyncIterable<ReplayParkedStreamsResponse> {
  const ids = refs.length === 0 ? allStreams(ports.db) : refs.map(idOf);
  for await (const id of ids) {
    if (signal.aborted) return;
    for await (const step of replayStream(ports, id, signal)) yield stepMessage(id, step);
  }
}

/** Page by page, behind the last: one that stays parked is not met twice. */
async function* allStreams<Schema>(db: Kysely<Schema>): AsyncIterable<ParkedStreamId> {
  let after: ParkedStreamId | undefined;
  do {
    const wish = { tenantId: '', stream: '', reason: '', after, rowsMax: pageSizeMax };
    const page = await listParkedStreams(db, wish);
    yield* page;
    after = page.at(-1);
  } while (after !== undefined);
}

function idOf(ref: ParkedStreamRef | undefined): ParkedStreamId {
  if (ref !== undefined && ref.topic !== '' && ref.stream !== '' && isPartition(ref)) return ref;
  const description = 'must name a parked stream: topic, partition, tenant_id, stream';
  throw new ServiceError('INVALID_FIELDS', 'the stream is not named', {
    violations: [{ field: 'ref', description }],
  });
}

/** The database has no higher one, and would refuse it with an error of its own. */
function isPartition({ partition }: ParkedStreamRef): boolean {
  return partition < 2 ** 31;
}

function refOf({ topic, partition, tenantId, stream }: ParkedStreamId): ParkedStreamRef {
  return { topic, partition, tenantId, stream };
}

function refText({ topic, partition, tenantId, stream }: ParkedStreamId): string {
  return `${topic}/${partition}/${tenantId}/${stream}`;
}

function streamMessage(row: ParkedStreamRow): ParkedStream {
  const { reason, firstSequence, parkedAtMs, events, bytes } = row;
  return { ref: refOf(row), reason, firstSequence, parkedAt: new Date(parkedAtMs), events, bytes };
}

function eventMessage({ entry, reason, parkedAtMs }: ParkedRecordRow): ParkedEvent {
  const header = decodeParked(entry.value)?.header;
  const { eventId, type = '', schemaVersion = 0, occurredAtMs, recordedAtMs } = header ?? {};
  return {
    sequence: entry.sequence,
    offset: entry.offset,
    eventId: eventId?.length === 16 ? eventIdFromBytes(eventId) : '',
    // A header that somebody forged may hold anything: what is no name of a type is not shown.
    type: typePattern.test(type) ? type : '',
    schemaVersion,
    occurredAt: momentOf(occurredAtMs),
    recordedAt: momentOf(recordedAtMs),
    parkedAt: new Date(parkedAtMs),
    bytes: BigInt(entry.value.length),
    reason,
  };
}

const typePattern = /^[A-Za-z]\w{0,79}$/;

/** The furthest moment that a Date can say, milliseconds either side of 1970. */
const momentMsMax = 8.64e15;

/** Undefined when the header, which may be forged, says a moment that does not exist. */
function momentOf(atMs: bigint | undefined): Date | undefined {
  if (atMs === undefined || Math.abs(Number(atMs)) > momentMsMax) return undefined;
  return new Date(Number(atMs));
}

const states = {
  running: ReplayState.REPLAY_STATE_RUNNING,
  done: ReplayState.REPLAY_STATE_DONE,
  not_parked: ReplayState.REPLAY_STATE_NOT_PARKED,
  still_parked: ReplayState.REPLAY_STATE_STILL_PARKED,
} as const satisfies Record<ReplayStep['state'], ReplayState>;

function stepMessage(id: ParkedStreamId, step: ReplayStep): ReplayParkedStreamsResponse {
  const failed = step.state === 'still_parked' ? step : { reason: '', sequence: 0n };
  return {
    ref: refOf(id),
    state: states[step.state],
    applied: BigInt(step.applied),
    reason: failed.reason,
    sequence: failed.sequence,
  };
}

function streamToken(id: ParkedStreamId): string {
  return Buffer.from(ParkedStreamRef.encode(refOf(id)).finish()).toString('base64url');
}

function wrongToken(): ServiceError {
  const description = 'must be the next_page_token of an earlier answer, or empty';
  return new ServiceError('INVALID_FIELDS', 'the page token is of no earlier answer', {
    violations: [{ field: 'page_token', description }],
  });
}

function parseStreamToken(text: string): ParkedStreamId | undefined {
  if (text === '') return undefined;
  const ref = decodeRef(text);
  if (ref === undefined || !isPartition(ref) || streamToken(ref) !== text) throw wrongToken();
  return ref;
}

function decodeRef(text: string): ParkedStreamRef | undefined {
  try {
    return ParkedStreamRef.decode(Buffer.from(text, 'base64url'));
  } catch {
    // Whatever the decoder says of it: no answer has given these bytes.
    return undefined;
  }
}

/** The highest that the database has, 2^63 - 1; it would refuse another with an error of its own. */
const sequenceMax = 9_223_372_036_854_775_807n;

function parseSequenceToken(text: string): bigint {
  const sequence = /^\d{0,19}$/.test(text) ? BigInt(text === '' ? 0 : text) : undefined;
  if (sequence === undefined || sequence > sequenceMax) throw wrongToken();
  return sequence;
}
