import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type {
  EventLog,
  LogEntry,
  LogWrite,
  PartitionWriter,
  TopicPartition,
} from '@lethe/platform/event-log/port.ts';
import type { Clock } from '@lethe/platform/lifecycle/clock.ts';
import type { StoredPartition } from './stored-partition.ts';
import { openMemoryReader, type DeliveryFaults } from './memory-log-reader.ts';

/** What befalls an append: nothing, its answer is lost, or it never arrives. */
export type AppendFate = 'answered' | 'answer-lost' | 'never-arrived';

/** How one process reaches the log. */
export interface LogAccess extends DeliveryFaults {
  /** Runs the operation when its turn comes, after so long at least. */
  pass<Result>(label: string, run: () => Result, afterMs?: number): Promise<Result>;
  readonly clock: Clock;
  appendFate(partition: TopicPartition): AppendFate;
  /** How long an append is on its way; its writer may be a zombie when it arrives. */
  appendDelayMs(): number;
}

/** The log itself, which outlives every process. */
export interface MemoryLog {
  accessFor(access: LogAccess): EventLog;
  partition(partition: TopicPartition): StoredPartition;
  /** Everything that was ever appended, for the oracle. */
  readonly history: readonly (TopicPartition & { readonly entry: LogEntry })[];
  /** Takes away records that have a later tombstone, as Kafka's cleaner and SQLite's overwriting do. */
  compact(): void;
}

export interface LogSettings {
  /** Takes fencing and the uniqueness of sequences away, for a planted bug. */
  readonly isUnfenced?: boolean;
  /** A tombstone takes its record away with its append, as on SQLite; otherwise `compact` does. */
  readonly forgetsAtOnce?: boolean;
}

/**
 * The port's rules with Kafka's semantics: opening a writer fences the older ones, an append is all or nothing, readers
 * see what is committed. It passes the contract suite of the port. Every reader has every partition, as on the embedded
 * log, so that two instances of a service both own all of them: the checkpoint alone decides who applies.
 */
export function createMemoryLog(
  partitions: ReadonlyMap<string, number>,
  { isUnfenced = false, forgetsAtOnce = false }: LogSettings = {},
): MemoryLog {
  const stored = new Map<string, StoredPartition>();
  const history: (TopicPartition & { entry: LogEntry })[] = [];
  const watchers = new Set<(topic: string) => void>();
  const countOf = (topic: string): number => {
    const count = partitions.get(topic);
    if (count === undefined) throw new RangeError(`the log has no topic ${topic}`);
    return count;
  };
  const partition = ({ topic, partition: number }: TopicPartition): StoredPartition => {
    if (number >= countOf(topic)) throw new RangeError(`${topic} has no partition ${number}`);
    const name = `${topic}/${number}`;
    const found = stored.get(name) ?? {
      entries: [],
      nextOffset: 0n,
      lastSequence: 0n,
      writerEpoch: 0,
    };
    stored.set(name, found);
    return found;
  };
  const append = (at: TopicPartition, firstSequence: bigint, writes: readonly LogWrite[]): void => {
    const state = partition(at);
    const fresh = entriesOf(state, at, firstSequence, writes, isUnfenced);
    state.entries.push(...fresh);
    history.push(...fresh.map((entry) => ({ ...at, entry })));
    if (forgetsAtOnce) state.entries = compacted(state.entries);
    for (const watcher of watchers) watcher(at.topic);
  };
  return {
    partition,
    history,
    compact: () => {
      for (const each of stored.values()) each.entries = compacted(each.entries);
    },
    accessFor: (access) => ({
      openWriter: async (at) => openMemoryWriter(at, partition(at), access, { append, isUnfenced }),
      openReader: async (options) => {
        const assigned = options.topics.flatMap((topic) =>
          Array.from({ length: countOf(topic) }, (_, number) => ({ topic, partition: number })),
        );
        return openMemoryReader(options, assigned, { access, partition, watchers });
      },
      partitionsOf: countOf,
      endOffsets: async (topic) =>
        access.pass(`end offsets ${topic}`, () =>
          Array.from(
            { length: countOf(topic) },
            (_, number) => partition({ topic, partition: number }).nextOffset,
          ),
        ),
      close: async () => {},
    }),
  };
}

/** Throws SEQUENCE_CONFLICT, having changed nothing but the count of offsets that it gave back. */
function entriesOf(
  state: StoredPartition,
  { topic, partition }: TopicPartition,
  firstSequence: bigint,
  writes: readonly LogWrite[],
  isUnfenced: boolean,
): LogEntry[] {
  let [sequence, offset, next] = [state.lastSequence, state.nextOffset, firstSequence];
  const entries: LogEntry[] = [];
  for (const write of writes) {
    if (write.kind === 'record') {
      if (next <= sequence && !isUnfenced) {
        const name = `${topic}/${partition}`;
        throw new ServiceError('SEQUENCE_CONFLICT', `${name} has sequence ${next} already`);
      }
      entries.push({ ...write, offset, sequence: next });
      sequence = next;
      next += 1n;
    } else {
      entries.push({ ...write, offset });
    }
    offset += 1n;
  }
  state.lastSequence = sequence;
  state.nextOffset = offset;
  return entries;
}

interface WriterParts {
  readonly append: (at: TopicPartition, firstSequence: bigint, writes: readonly LogWrite[]) => void;
  readonly isUnfenced: boolean;
}

async function openMemoryWriter(
  at: TopicPartition,
  state: StoredPartition,
  access: LogAccess,
  { append, isUnfenced }: WriterParts,
): Promise<PartitionWriter> {
  const name = `${at.topic}/${at.partition}`;
  const opened = await access.pass(`open writer ${name}`, () => {
    state.writerEpoch += 1;
    return { epoch: state.writerEpoch, lastSequence: state.lastSequence };
  });
  let usable = true;
  return {
    lastSequence: opened.lastSequence,
    append: async (firstSequence, writes) => {
      if (!usable) {
        throw new ServiceError('SEQUENCE_CONFLICT', `this writer of ${name} failed or was closed`);
      }
      usable = false;
      const appendOnce = (): void => {
        const fate = access.appendFate(at);
        if (fate === 'never-arrived') throw unreachable();
        if (state.writerEpoch !== opened.epoch && !isUnfenced) {
          throw new ServiceError('SEQUENCE_CONFLICT', `another writer of ${name} was opened`);
        }
        append(at, firstSequence, writes);
        if (fate === 'answer-lost') throw unreachable();
      };
      const label = `append ${name} ${firstSequence} ${writes.length}`;
      await access.pass(label, appendOnce, access.appendDelayMs());
      usable = true;
    },
    close: async () => {
      usable = false;
    },
  };
}

function unreachable(): ServiceError {
  return new ServiceError('STORE_UNAVAILABLE', 'the event log did not answer');
}

function compacted(entries: readonly LogEntry[]): LogEntry[] {
  const gone = new Map<string, bigint>();
  for (const entry of entries) {
    if (entry.kind === 'tombstone') gone.set(hexOf(entry.eventId), entry.offset);
  }
  return entries.filter(
    (entry) => entry.kind !== 'record' || (gone.get(hexOf(entry.eventId)) ?? -1n) < entry.offset,
  );
}

function hexOf(eventId: Uint8Array): string {
  return Buffer.from(eventId).toString('hex');
}
