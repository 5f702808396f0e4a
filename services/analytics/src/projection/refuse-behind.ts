import type { Checkpoint } from '@lethe/platform/consumer/checkpoints.ts';
import { partitionsBehind } from '@lethe/platform/consumer/log-end.ts';
import { nameOf } from '@lethe/platform/consumer/positions.ts';
import type { EventLog, TopicPartition } from '@lethe/platform/event-log/port.ts';
import type { Logger } from '@lethe/platform/log/logger.ts';
import type { OwnedPartitions } from './owned-partitions.ts';

/** Why partitions, by name, are not read by this process any more. */
export type Refused = Map<string, string>;

export interface RefusePorts {
  readonly eventLog: EventLog;
  readonly logger: Logger;
  readonly refused?: Refused;
}

/**
 * Stops the partitions whose log ends before their checkpoint (log-end.ts), and those that were stopped so before: asked
 * again, a log that has grown since would look like any.
 */
export async function refuseBehind(
  { eventLog, logger, refused = new Map() }: RefusePorts,
  owned: OwnedPartitions,
  assigned: readonly TopicPartition[],
  checkpoints: readonly Checkpoint[],
): Promise<void> {
  const behind = await partitionsBehind(eventLog, assigned, checkpoints);
  const reason = 'LOG_BEHIND_CHECKPOINT';
  for (const partition of assigned) {
    const name = nameOf(partition);
    const problem = behind.get(name);
    if (problem !== undefined && !refused.has(name)) {
      refused.set(name, `partition ${name} stopped: ${reason}`);
      const fields = { component: 'projection', ...partition, reason, problem };
      logger.error(fields, 'partition stopped; the others go on');
    }
    owned.get(partition).problem ??= refused.get(name);
  }
}
