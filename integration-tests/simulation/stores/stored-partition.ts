import type { LogEntry } from '@lethe/platform/event-log/port.ts';

/** A partition as the log keeps it. */
export interface StoredPartition {
  /** Ascending offsets; compaction takes entries out. */
  entries: LogEntry[];
  nextOffset: bigint;
  lastSequence: bigint;
  writerEpoch: number;
}
