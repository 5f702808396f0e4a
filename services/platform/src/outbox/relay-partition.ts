import type { Kysely } from 'kysely';
import { ServiceError } from '../errors/service-error.ts';
import type { EventLog, PartitionWriter, TopicPartition } from '../event-log/port.ts';
import {
  type Batch,
  type BatchLimits,
  type OnSequenced,
  remainingWrites,
  takeBatch,
} from './relay-batch.ts';

export interface PartitionRelayPorts<Schema> {
  readonly db: Kysely<Schema>;
  readonly eventLog: EventLog;
  readonly limits: BatchLimits;
  readonly onSequenced: OnSequenced<Schema> | undefined;
}

/** Moves the rows of one partition to the log. */
export interface PartitionRelay {
  /** Until nothing waits or the signal fires. After an error: `forgetWriter`, wait, and drain again. */
  drain(signal: AbortSignal): Promise<void>;
  /** The next drain opens a new writer, which fences this one, and asks the log where it ends. */
  forgetWriter(): Promise<void>;
}

interface OpenWriter {
  readonly writer: PartitionWriter;
  /** The last sequence on the log, as this writer knows it. */
  lastOnLog: bigint;
}

export function createPartitionRelay<Schema>(
  partition: TopicPartition,
  ports: PartitionRelayPorts<Schema>,
): PartitionRelay {
  const { db, eventLog, limits, onSequenced } = ports;
  let open: OpenWriter | undefined;
  let published: Batch | undefined;

  /** Opened before the counter is read: whatever an older writer put on the log was numbered before. */
  const openWriter = async (): Promise<OpenWriter> => {
    const writer = await eventLog.openWriter(partition);
    return { writer, lastOnLog: writer.lastSequence };
  };
  /** A log that seems to lack records may have gained them since we asked it, from a relay that took over. */
  const logHasMoved = async (asked: OpenWriter): Promise<boolean> => {
    await asked.writer.close();
    open = await openWriter();
    return open.lastOnLog !== asked.lastOnLog;
  };
  /** Answers whether there may be more. */
  const moveBatch = async (): Promise<boolean> => {
    // 1. Own the log's end.
    open ??= await openWriter();
    const owned = open;
    // 2. Number the next rows and drop the ones of the last round; see takeBatch for a death here.
    const { lastOnLog } = owned;
    let batch: Batch | undefined;
    try {
      const request = { ...partition, limits, onSequenced, published, lastOnLog };
      batch = await takeBatch(db, request);
    } catch (error) {
      if (!isGap(error) || !(await logHasMoved(owned))) throw error;
      return true;
    }
    published = undefined;
    if (batch === undefined) return false;
    // 3. Append. If the process dies before, the batch is found in flight and appended then. If it dies after, or the
    // answer is lost, the batch is found in flight and the log says that it has it.
    const { firstSequence, writes } = remainingWrites(batch, lastOnLog);
    if (writes.length > 0) await owned.writer.append(firstSequence, writes);
    owned.lastOnLog = batch.lastSequence;
    published = batch;
    return true;
  };
  return {
    drain: async (signal) => {
      let more = true;
      while (more && !signal.aborted) more = await moveBatch();
    },
    forgetWriter: async () => {
      const { writer } = open ?? {};
      open = undefined;
      published = undefined;
      await writer?.close();
    },
  };
}

function isGap(error: unknown): boolean {
  return error instanceof ServiceError && error.reason === 'SEQUENCE_GAP';
}
