import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { UnaryHandler } from '@lethe/platform/grpc/handler.ts';
import type {
  ProgressRequest,
  ProgressResponse,
} from '@lethe/proto/gen/lethe/analytics/v1/service.ts';
import type { TopicName } from '@lethe/proto/topics.ts';
import type { UncountedSequence } from '../projection/sequences.ts';

export interface ProgressPorts {
  readonly topics: readonly TopicName[];
  /** In partition order. */
  readonly committedSequences: (topic: TopicName) => Promise<readonly bigint[]>;
  /** At most so many sequences of the topic that are in no total. */
  readonly uncountedSequences: (
    topic: TopicName,
    sequencesMax: number,
  ) => Promise<readonly UncountedSequence[]>;
}

/** Some 100 KB of an answer. */
const uncountedMax = 10_000;

/**
 * Up to which sequence each partition was **committed**: the transaction that stores the chunk's rows in its manifest.
 * The rows reach ClickHouse later, from the manifest and not from the log, so that an owner may remove the records now.
 * With it the sequences that were passed over: an owner that is about to remove one of them says in its receipt that
 * the ledger lacks events. They are read after the checkpoints, so that none below these is missing.
 */
export function progress(ports: ProgressPorts): UnaryHandler<ProgressRequest, ProgressResponse> {
  return async ({ topic }) => {
    const known = ports.topics.find((name) => name === topic);
    if (known === undefined) {
      throw new ServiceError('INVALID_FIELDS', undefined, {
        violations: [{ field: 'topic', description: `must be one of ${ports.topics.join(', ')}` }],
      });
    }
    const sequences = await ports.committedSequences(known);
    const skipped = await ports.uncountedSequences(known, uncountedMax + 1);
    const partitions = sequences.map((sequence, partition) => {
      const uncounted = skipped.flatMap((each) =>
        each.partition === partition && each.sequence <= sequence ? [each.sequence] : [],
      );
      return { partition, sequence, uncounted: uncounted.toReversed() };
    });
    return { partitions, moreUncounted: skipped.length > uncountedMax };
  };
}
