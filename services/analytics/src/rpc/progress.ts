import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { UnaryHandler } from '@lethe/platform/grpc/handler.ts';
import type {
  ProgressRequest,
  ProgressResponse,
} from '@lethe/proto/gen/lethe/analytics/v1/service.ts';
import type { TopicName } from '@lethe/proto/topics.ts';

export interface ProgressPorts {
  readonly topics: readonly TopicName[];
  /** In partition order. */
  readonly committedSequences: (topic: TopicName) => Promise<readonly bigint[]>;
}

/**
 * Up to which sequence each partition was **committed**: the transaction that stores the chunk's rows in its manifest.
 * The rows reach ClickHouse later, from the manifest and not from the log, so that an owner may remove the records now.
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
    return { partitions: sequences.map((sequence, partition) => ({ partition, sequence })) };
  };
}
