import { topics } from '@lethe/proto/topics.ts';
import { systemClock } from '../lifecycle/clock.ts';
import { createLogger } from '../log/logger.ts';
import { createKafkaClient, defaultKafkaTimeouts } from './kafka-client.ts';
import { type KafkaConfig, parseKafkaConfig } from './kafka-config.ts';
import { ensureKafkaTopics } from './kafka-topics.ts';

/**
 * Makes the topics of proto/topics.ts that are missing, raises partition numbers, compares the rest; idempotent. Answers
 * what to tell whoever asked. The login must be an administrator's; LETHE_KAFKA_TOPICS is not looked at. Throws
 * CONFIG_INVALID where a topic is not as it must be, and what Kafka refuses.
 */
export async function createTopics({ settings, ensure }: KafkaConfig): Promise<string> {
  const logger = createLogger({ service: 'create-topics', level: 'error' });
  const kafka = createKafkaClient(settings, defaultKafkaTimeouts, logger);
  await ensureKafkaTopics(kafka, topics, ensure.topicSettings, 'create', systemClock);
  const names = topics.map(({ name, partitions }) => `${name} (${partitions})`);
  return `as they must be: ${names.join(', ')}\n`;
}

/** The variables of Kafka alone. Throws CONFIG_INVALID. */
export function parseAdminKafkaConfig(
  env: Readonly<Record<string, string | undefined>>,
): KafkaConfig {
  return parseKafkaConfig('admin', env);
}
