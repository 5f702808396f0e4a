import type { LogReader, TopicPartition } from '../event-log/port.ts';

/** Up to where a partition was applied; only of partitions that this process has. */
export interface AppliedPosition extends TopicPartition {
  /** The offset of what comes next. */
  readonly position: bigint;
}

/** For maps and messages: "tickets.v1/3". */
export function nameOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}

/** Where a reader's partitions stand, for telemetry. */
export interface Positions {
  /** Everything below `position` was applied. */
  note(partition: TopicPartition, position: bigint, reader: LogReader): void;
  held(): readonly AppliedPosition[];
}

export function createPositions(): Positions {
  const noted = new Map<string, AppliedPosition & { readonly reader: LogReader }>();
  return {
    note: ({ topic, partition }, position, reader) =>
      void noted.set(nameOf({ topic, partition }), { topic, partition, position, reader }),
    held: () => [...noted.values()].filter((each) => each.reader.holds?.(each) !== false),
  };
}
