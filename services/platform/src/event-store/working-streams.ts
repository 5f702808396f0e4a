import type { HeldLease, SealLease } from '../key-client/port.ts';
import { keyIdOfBox } from '../sealing/box.ts';
import { openRequestOfValue, openValue, sealValue } from '../sealing/value.ts';
import type { LeasedBatch, LoadedBatch } from './batch.ts';
import type { StateCodec } from './family.ts';
import { LeaseAgain } from './lease-again.ts';
import { type StreamKey, type StreamRow, streamText } from './streams.ts';

/** A stream while its transaction decides. */
export interface WorkingStream<State> {
  readonly key: StreamKey;
  readonly lease: SealLease;
  readonly partition: number;
  position: number;
  openedAtMs: number;
  version: number;
  state: State | undefined;
  moved: boolean;
}

export interface StreamMove<State> {
  readonly position: number;
  readonly state: State;
  readonly occurredAtMs: number;
}

export interface WorkingStreams<State> {
  /** Undefined: there is no such stream. Throws LeaseAgain when its state lies under a key that was not leased. */
  get(key: StreamKey, lease: SealLease): WorkingStream<State> | undefined;
  move(stream: WorkingStream<State>, to: StreamMove<State>): void;
  /** Changes the state without an event. */
  observe(stream: WorkingStream<State>, state: State): void;
  /** The rows of the streams that moved, each state sealed once. */
  sealMoved(): readonly StreamRow[];
}

/** Opens states as they are needed and seals those that changed. */
export function createWorkingStreams<Command, State>(
  batch: LeasedBatch<Command, State>,
  loaded: LoadedBatch,
): WorkingStreams<State> {
  const working = new Map<string, WorkingStream<State>>();
  const codec = batch.family.stateCodec;
  return {
    get: (key, lease) => {
      const text = streamText(key);
      const row = loaded.streams.get(text);
      if (row === undefined) return undefined;
      const known = working.get(text);
      if (known !== undefined) return known;
      const { partition, position, openedAtMs, version } = row;
      const state = codec === undefined ? undefined : openState(batch, codec, row, lease);
      const facts = { key, lease, partition, position, openedAtMs, version };
      const stream = { ...facts, state, moved: false };
      working.set(text, stream);
      return stream;
    },
    move: (stream, to) => {
      if (stream.position === 0) stream.openedAtMs = to.occurredAtMs;
      stream.position = to.position;
      stream.state = to.state;
      markMoved(stream);
    },
    observe: (stream, state) => {
      stream.state = state;
      markMoved(stream);
    },
    sealMoved: () =>
      [...working.values()]
        .filter((stream) => stream.moved)
        .map((stream) => ({
          ...stream.key,
          partition: stream.partition,
          position: stream.position,
          openedAtMs: stream.openedAtMs,
          version: stream.version,
          state: codec === undefined ? undefined : sealState(batch, codec, stream, loaded),
        })),
  };
}

// Once a batch, however often it changes: only the last state is sealed.
function markMoved(stream: WorkingStream<unknown>): void {
  if (!stream.moved) stream.version += 1;
  stream.moved = true;
}

function bindingOf<Command, State>(
  { tenantId }: LeasedBatch<Command, State>,
  codec: StateCodec<State>,
  stream: StreamKey & { readonly version: number },
) {
  return { tenantId, name: codec.name, streamToken: stream.token, version: stream.version };
}

function openState<Command, State>(
  batch: LeasedBatch<Command, State>,
  codec: StateCodec<State>,
  row: StreamRow,
  current: SealLease,
): State | undefined {
  if (row.state === undefined) return undefined;
  const lease = stateLease(batch, row, row.state, current);
  return codec.decode(openValue(lease, bindingOf(batch, codec, row), row.state));
}

// A state stays under the generation that sealed it; the batch holds the newest, and seals it under that.
function stateLease<Command, State>(
  { stateLeases }: LeasedBatch<Command, State>,
  row: StreamRow,
  box: Buffer,
  current: SealLease,
): HeldLease {
  const keyId = keyIdOfBox(box);
  if (keyId?.equals(current.dataKey.keyId) === true) return current;
  const older = keyId === undefined ? undefined : stateLeases.get(keyId.toString('hex'));
  if (older !== undefined) return older;
  throw new LeaseAgain({ toOpen: [openRequestOfValue(current.scope, row.incarnation, box)] });
}

function sealState<Command, State>(
  batch: LeasedBatch<Command, State>,
  codec: StateCodec<State>,
  stream: WorkingStream<State>,
  { randomBytes }: LoadedBatch,
): Buffer | undefined {
  if (stream.state === undefined) return undefined;
  const binding = bindingOf(batch, codec, { ...stream.key, version: stream.version });
  return sealValue(stream.lease, binding, codec.encode(stream.state), randomBytes);
}
