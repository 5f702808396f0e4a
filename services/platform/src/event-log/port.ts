/** The event log: ordered, partitioned, durable. An SQLite file in the embedded default, Kafka in production. */

export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

/** What a relay hands to the log. Only records carry a sequence; tombstone records and ticks do not count. */
export type LogWrite =
  | {
      readonly kind: 'record';
      /** Record key: the event id, 16 bytes. */
      readonly eventId: Uint8Array;
      /** Encoded lethe.log.v1.Record. */
      readonly value: Uint8Array;
      readonly recordedAtMs: number;
    }
  /** Kafka's null value for the key: compaction removes every earlier record of that key. */
  | { readonly kind: 'tombstone'; readonly eventId: Uint8Array }
  /**
   * A small record that lets an idle partition roll its segment; names the last sequence given before it, so that a
   * consumer learns of an end that erasure removed.
   */
  | { readonly kind: 'tick'; readonly lastSequence: bigint };

/** What a reader sees. */
export type LogEntry = { readonly offset: bigint } & (
  | {
      readonly kind: 'record';
      readonly sequence: bigint;
      readonly eventId: Uint8Array;
      readonly value: Uint8Array;
      readonly recordedAtMs: number;
    }
  | { readonly kind: 'tombstone'; readonly eventId: Uint8Array }
  | { readonly kind: 'tick'; readonly lastSequence: bigint }
);

/**
 * The writer of one partition. Opening it fences every older writer of that partition: their next append throws
 * SEQUENCE_CONFLICT and writes nothing.
 */
export interface PartitionWriter {
  /** The highest sequence on the log, 0n when there is none; read after older writers were fenced. */
  readonly lastSequence: bigint;
  /**
   * Appends all or nothing, in order. The records among `writes` get `firstSequence`, `firstSequence + 1`, …;
   * each sequence is stored at most once (SEQUENCE_CONFLICT otherwise). After any error the writer is unusable and
   * throws SEQUENCE_CONFLICT: the outcome is unknown, and the caller opens a new one and looks at its `lastSequence`.
   */
  append(firstSequence: bigint, writes: readonly LogWrite[]): Promise<void>;
  close(): Promise<void>;
}

export interface LogBatch extends TopicPartition {
  /** Ascending by offset, not empty. */
  readonly entries: readonly LogEntry[];
}

/** Bytes of values that one poll hands out, at most, give or take one value. */
export const pollBytesMax = 8 * 1024 * 1024;

export interface PollOptions {
  readonly recordsMax: number;
  readonly waitMs: number;
  readonly signal?: AbortSignal;
}

/** Pulls from the partitions assigned to this group member. */
export interface LogReader {
  /**
   * Resolves with what is there, at most `recordsMax` entries in all, or with an empty list after `waitMs`. What was
   * handed out is not handed out again unless `seek` goes back.
   */
  poll(options: PollOptions): Promise<readonly LogBatch[]>;
  /** The next poll reads this partition from `offset` on. */
  seek(partition: TopicPartition, offset: bigint): void;
  /** No entries of this partition are handed out until `resume`. */
  pause(partition: TopicPartition): void;
  resume(partition: TopicPartition): void;
  /**
   * The offset the next poll reads from: every entry below it was handed out, or never will be (erased, or a marker of
   * the log's own). Reaches `endOffsets`, which the last entry's offset plus one need not.
   */
  position(partition: TopicPartition): bigint;
  /** Whether this member has the partition now. Absent where each reader has all. */
  holds?(partition: TopicPartition): boolean;
  close(): Promise<void>;
}

export interface ReaderOptions {
  /** The consumer group: one per service and purpose, `<service>` or `<service>-<purpose>` (kafka-acls.ts). */
  readonly group: string;
  readonly topics: readonly string[];
  /**
   * Called with partitions as they are assigned, before any of their entries is handed out; answers the offset to
   * start from (the consumer's own checkpoint plus one, or 0n).
   */
  readonly startAt: (assigned: readonly TopicPartition[]) => Promise<readonly bigint[]>;
}

/** By the names that OpenTelemetry's conventions have, or would have. */
export type LogSystem = 'kafka' | 'sqlite';

export interface EventLog {
  /** What it is made of, for telemetry. */
  readonly system?: LogSystem | undefined;
  /**
   * Where records leave the files only by compaction of old segments: by when one to which somebody appends is compacted,
   * milliseconds. Absent where a tombstone record removes at once.
   */
  readonly compactionLagMs?: number | undefined;
  /**
   * How long a topic keeps records now, milliseconds; undefined for ever. Absent where nothing but erasure takes any.
   * For telemetry alone.
   */
  retentionMs?(topic: string): Promise<number | undefined>;
  /** Throws STORE_UNAVAILABLE when the log cannot be reached. */
  openWriter(partition: TopicPartition): Promise<PartitionWriter>;
  openReader(options: ReaderOptions): Promise<LogReader>;
  partitionsOf(topic: string): number;
  /** For lag and start-up catch-up: one past the newest offset of each partition, in partition order. */
  endOffsets(topic: string): Promise<readonly bigint[]>;
  close(): Promise<void>;
}
