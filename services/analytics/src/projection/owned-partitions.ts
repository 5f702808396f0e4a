import type { Checkpoint } from '@lethe/platform/consumer/checkpoints.ts';
import type { TopicPartition } from '@lethe/platform/event-log/port.ts';
import { partitionName } from './partition-name.ts';

/** What this process knows of a partition that it was assigned. */
export interface OwnedPartition extends TopicPartition {
  /** As last committed, by this process or, after a start or a reload, by any. */
  checkpoint: Checkpoint;
  /** Where the gap begins that is being read again; if it is still there its owner is asked. */
  rereadFor: bigint | undefined;
  /** Why nothing more of it is read; cleared by a restart alone. */
  problem: string | undefined;
}

/** The partitions assigned to this process, by name. Those that were taken away stay, unread and harmless. */
export class OwnedPartitions {
  readonly #byName = new Map<string, OwnedPartition>();

  assign(partition: TopicPartition, checkpoint: Checkpoint): void {
    const { topic, partition: number } = partition;
    const known = this.#byName.get(partitionName(topic, number));
    this.#byName.set(partitionName(topic, number), {
      topic,
      partition: number,
      checkpoint,
      rereadFor: undefined,
      problem: known?.problem,
    });
  }

  /** Throws a RangeError for a partition that was never assigned (a defect of the log's adapter). */
  get({ topic, partition }: TopicPartition): OwnedPartition {
    const found = this.#byName.get(partitionName(topic, partition));
    if (found === undefined) throw new RangeError(`${topic}/${partition} was not assigned`);
    return found;
  }

  all(): readonly OwnedPartition[] {
    return [...this.#byName.values()];
  }

  problem(): string | undefined {
    const problems = this.all().flatMap(({ problem }) => problem ?? []);
    return problems.length === 0 ? undefined : problems.join('; ');
  }
}
