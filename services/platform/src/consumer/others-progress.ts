import type { Kysely } from 'kysely';
import { SequenceServiceService } from '@lethe/proto/gen/lethe/log/v1/service.ts';
import { topicNamed, type TopicName } from '@lethe/proto/topics.ts';
import { failureFields } from '../errors/failure.ts';
import type { TopicPartition } from '../event-log/port.ts';
import type { Peers } from '../grpc/handler.ts';
import type { Clock } from '../lifecycle/clock.ts';
import { sleepQuietly } from '../lifecycle/wakeable.ts';
import type { Logger } from '../log/logger.ts';
import { readCheckpoints } from './checkpoints.ts';
import { nameOf } from './positions.ts';
import type { ConsumerSchema } from './tables.ts';

export interface OthersProgressOptions<Schema extends ConsumerSchema> {
  readonly name: string;
  readonly db: Kysely<Schema>;
  readonly peers: Peers;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly topics: readonly TopicName[];
  /** Partitions that other members of the group have now. */
  readonly elsewhere: () => readonly TopicPartition[];
  /** Such a partition has come to where its owner was when we first asked. */
  readonly applied: (partition: TopicPartition) => void;
  readonly signal: AbortSignal;
}

const lookEveryMs = 1_000;

/**
 * Sees by their checkpoints how far other members of the group have come: their effects are in the same database.
 * Offsets do not tell, as the log ends in marks of its own that no checkpoint names, so the topic's owner is asked for
 * its last sequence. Until the signal fires; what fails is tried again at the next look.
 */
export async function watchOthersProgress<Schema extends ConsumerSchema>(
  options: OthersProgressOptions<Schema>,
): Promise<void> {
  const { clock, logger, name, signal } = options;
  const heads = new Map<string, bigint>();
  while (!signal.aborted) {
    await sleepQuietly(clock, lookEveryMs, signal);
    const partitions = signal.aborted ? [] : options.elsewhere();
    if (partitions.length === 0) continue;
    try {
      await look(options, partitions, heads);
    } catch (error) {
      if (signal.aborted) return;
      logger.warn(
        { component: name, ...failureFields(error), delayMs: lookEveryMs },
        'how far the other members are is not known',
      );
    }
  }
}

async function look<Schema extends ConsumerSchema>(
  { db, peers, topics, applied, signal }: OthersProgressOptions<Schema>,
  partitions: readonly TopicPartition[],
  heads: Map<string, bigint>,
): Promise<void> {
  for (const topic of topics) {
    const isKnown = partitions.every((each) => each.topic !== topic || heads.has(nameOf(each)));
    if (isKnown) continue;
    const { owner } = topicNamed(topic);
    const answer = await peers(owner).unary(SequenceServiceService.heads, { topic }, { signal });
    // Of a partition that nothing was ever appended to the owner says nothing.
    for (const each of partitions) if (each.topic === topic) heads.set(nameOf(each), 0n);
    for (const { partition, sequence } of answer.heads) {
      heads.set(nameOf({ topic, partition }), sequence);
    }
  }
  const checkpoints = await readCheckpoints(db, partitions);
  for (const [index, partition] of partitions.entries()) {
    const head = heads.get(nameOf(partition));
    const reached = checkpoints[index]?.sequence;
    if (head !== undefined && reached !== undefined && reached >= head) applied(partition);
  }
}
