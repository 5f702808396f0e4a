import type { Transaction } from 'kysely';
import type { Record as LogRecord } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import type { TopicPartition } from '../event-log/port.ts';

/** A record that this consumer has not applied yet, in sequence order. */
export interface NewRecord {
  readonly sequence: bigint;
  readonly offset: bigint;
  readonly record: LogRecord;
}

/**
 * What a service does with a batch of one partition. `prepare` runs before the transaction (leases, opening, parsing)
 * and may call other services; `apply` runs inside it, after the checkpoint's compare-and-set, and awaits nothing but
 * SQL; `committed` runs after it (wake a job; it may be lost when the process dies, so a loop must find the work too).
 * Whatever was prepared ends in one of `committed` and `abandoned`, unless the process dies.
 */
export interface ConsumerEffect<Schema, Prepared> {
  prepare(from: TopicPartition, records: readonly NewRecord[]): Promise<Prepared>;
  apply(tx: Transaction<Schema>, prepared: Prepared): Promise<void>;
  committed?(prepared: Prepared): void;
  /**
   * The transaction failed, or nobody knows how it ended; the records are prepared again. Without a failure when it was
   * only planned anew. Must not throw.
   */
  abandoned?(prepared: Prepared, failure?: unknown): void;
}
