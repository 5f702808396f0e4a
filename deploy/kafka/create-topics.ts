#!/usr/bin/env node
/*
 * Makes the topics of proto/topics.ts that are missing, raises partition numbers, and compares the rest. Reads the same
 * variables as the services, with the administrator's login; services themselves only check (LETHE_KAFKA_TOPICS).
 *
 *   LETHE_KAFKA_BROKERS=kafka:9093 LETHE_KAFKA_CA_FILE=… LETHE_KAFKA_SASL=scram-sha-512 \
 *     LETHE_KAFKA_USERNAME=lethe-admin LETHE_KAFKA_PASSWORD_FILE=… node deploy/kafka/create-topics.ts
 *
 * Ends with 1 where Kafka refuses, is away or a topic is not as it must be, with 2 for settings that are wrong.
 */
import { topics } from '../../proto/topics.ts';
import { ServiceError } from '../../services/platform/src/errors/service-error.ts';
import {
  createKafkaClient,
  defaultKafkaTimeouts,
} from '../../services/platform/src/event-log/kafka-client.ts';
import { parseKafkaConfig } from '../../services/platform/src/event-log/kafka-config.ts';
import { ensureKafkaTopics } from '../../services/platform/src/event-log/kafka-topics.ts';
import { systemClock } from '../../services/platform/src/lifecycle/clock.ts';
import { createLogger } from '../../services/platform/src/log/logger.ts';

function readConfig() {
  return parseKafkaConfig('admin', process.env);
}

async function createTopics({ settings, ensure }: ReturnType<typeof readConfig>): Promise<void> {
  const logger = createLogger({ service: 'create-topics', level: 'error' });
  const kafka = createKafkaClient(settings, defaultKafkaTimeouts, logger);
  await ensureKafkaTopics(kafka, topics, ensure.topicSettings, 'create', systemClock);
  const names = topics.map(({ name, partitions }) => `${name} (${partitions})`);
  process.stdout.write(`as they must be: ${names.join(', ')}\n`);
}

function fail(error: unknown, exitCode: number): void {
  if (!(error instanceof ServiceError)) throw error;
  process.stderr.write(`${error.reason}: ${error.message}\n`);
  process.exitCode = exitCode;
}

try {
  const config = readConfig();
  await createTopics(config).catch((error: unknown) => fail(error, 1));
} catch (error) {
  fail(error, 2);
}
