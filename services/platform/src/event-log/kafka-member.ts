import type { Consumer, Kafka } from 'kafkajs';
import type { KafkaTimeouts } from './kafka-client.ts';

/** At least one batch is fetched whatever its size, so this bounds memory and not records. */
const fetchBytesPerPartition = 1024 * 1024;

/** The client's member of a group; `mayRestart` is asked when its loop fails in a way that may pass. */
export function createMember(
  kafka: Kafka,
  group: string,
  timeouts: KafkaTimeouts,
  mayRestart: () => boolean,
): Consumer {
  return kafka.consumer({
    groupId: group,
    sessionTimeout: timeouts.sessionMs,
    heartbeatInterval: timeouts.heartbeatMs,
    rebalanceTimeout: timeouts.rebalanceMs,
    maxWaitTimeInMs: timeouts.fetchWaitMs,
    maxBytesPerPartition: fetchBytesPerPartition,
    readUncommitted: false,
    allowAutoTopicCreation: false,
    retry: {
      initialRetryTime: 50,
      maxRetryTime: 1_000,
      retries: 5,
      // The first use of a group on a fresh broker crashes the client's loop once.
      restartOnFailure: async () => mayRestart(),
    },
  });
}
