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
import { ServiceError } from '../../services/platform/src/errors/service-error.ts';
import {
  createTopics,
  parseAdminKafkaConfig,
} from '../../services/platform/src/event-log/create-topics.ts';

function fail(error: unknown, exitCode: number): void {
  if (!(error instanceof ServiceError)) throw error;
  process.stderr.write(`${error.reason}: ${error.message}\n`);
  process.exitCode = exitCode;
}

try {
  const config = parseAdminKafkaConfig(process.env);
  await createTopics(config).then(
    (said) => process.stdout.write(said),
    (error: unknown) => fail(error, 1),
  );
} catch (error) {
  fail(error, 2);
}
