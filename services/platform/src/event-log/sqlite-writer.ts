import { ServiceError } from '../errors/service-error.ts';
import type { LogWrite, PartitionWriter, TopicPartition } from './port.ts';
import type { SqliteStore } from './sqlite-store.ts';

/** Told after each append, once it is on the disk. */
export type Appended = (partition: TopicPartition, writes: readonly LogWrite[]) => void;

/**
 * Opens the writer of a partition. The epoch is in the file, so older writers are fenced in other processes too.
 */
export function openSqliteWriter(
  store: SqliteStore,
  partition: TopicPartition,
  appended: Appended,
): PartitionWriter {
  const name = `${partition.topic}/${partition.partition}`;
  const opened = store.transaction(() => {
    const state = store.partition(partition);
    const epoch = state.writerEpoch + 1n;
    store.saveEpoch(state.partitionId, epoch);
    return { epoch, lastSequence: state.lastSequence };
  });
  let usable = true;

  const appendInTransaction = (firstSequence: bigint, writes: readonly LogWrite[]): void => {
    const { partitionId, writerEpoch, lastSequence, nextOffset } = store.partition(partition);
    if (writerEpoch !== opened.epoch) {
      throw new ServiceError('SEQUENCE_CONFLICT', `another writer of ${name} was opened`);
    }
    const progress = { sequence: lastSequence, offset: nextOffset };
    let next = firstSequence;
    for (const write of writes) {
      if (write.kind === 'record') {
        if (next <= progress.sequence) {
          throw new ServiceError('SEQUENCE_CONFLICT', `${name} has sequence ${next} already`);
        }
        progress.sequence = next;
        next += 1n;
      }
      store.insert(partitionId, progress.offset, progress.sequence, write);
      progress.offset += 1n;
    }
    store.saveProgress(partitionId, progress.sequence, progress.offset);
  };
  return {
    lastSequence: opened.lastSequence,
    append: async (firstSequence, writes) => {
      if (!usable) {
        throw new ServiceError('SEQUENCE_CONFLICT', `this writer of ${name} failed or was closed`);
      }
      usable = false;
      store.transaction(() => appendInTransaction(firstSequence, writes));
      usable = true;
      appended(partition, writes);
    },
    close: async () => {
      usable = false;
    },
  };
}
