import { z } from 'zod';
import { parseEnvironment } from '../config/parse-environment.ts';
import { configInvalid } from '../config/parse-together.ts';
import type { FieldViolation } from '../errors/service-error.ts';
import { connectionOf, type KafkaSaslSettings, type KafkaSettings } from './kafka-settings.ts';
import { defaultKafkaTopicSettings, type KafkaTopicSettings } from './kafka-topics.ts';

/** The event log of a service's process. */
export interface KafkaConfig {
  readonly settings: KafkaSettings;
  readonly ensure: {
    readonly mode: 'create' | 'check';
    readonly topicSettings: KafkaTopicSettings;
  };
}

const whole = (least: number, fallback: number) =>
  z.coerce.number().int().min(least).default(fallback);
const defaults = defaultKafkaTopicSettings;

export const kafkaSettings = z.object({
  LETHE_KAFKA_BROKERS: z
    .string()
    .regex(/^[^\s,]+:\d+(,[^\s,]+:\d+)*$/, 'must be host:port, separated by commas')
    .describe('Brokers to begin with, host:port, separated by commas.'),
  LETHE_KAFKA_TLS: z
    .enum(['verify', 'off'])
    .default('verify')
    .describe('verify: certificate and name of each broker are verified. off: loopback only.'),
  LETHE_KAFKA_CA_FILE: z
    .string()
    .optional()
    .describe("Authorities that may sign the brokers' certificates, PEM; else those of Node."),
  LETHE_KAFKA_CERTIFICATE_FILE: z
    .string()
    .optional()
    .describe("The service's own certificate, PEM, where the brokers ask for one."),
  LETHE_KAFKA_PRIVATE_KEY_FILE: z.string().optional().describe('Its private key, PEM.'),
  LETHE_KAFKA_SASL: z
    .enum(['none', 'plain', 'scram-sha-256', 'scram-sha-512'])
    .default('none')
    .describe('How to log in.'),
  LETHE_KAFKA_USERNAME: z.string().min(1).optional().describe('As whom, with SASL.'),
  LETHE_KAFKA_PASSWORD_FILE: z.string().optional().describe('A file with the password, with SASL.'),
  LETHE_KAFKA_TOPICS: z
    .enum(['check', 'create'])
    .default('check')
    .describe('create: missing topics are made and partitions added. Both refuse other settings.'),
  LETHE_KAFKA_REPLICATION_FACTOR: whole(1, defaults.replicationFactor).describe(
    'Replicas of each partition.',
  ),
  LETHE_KAFKA_MIN_INSYNC_REPLICAS: whole(1, defaults.minInsyncReplicas).describe(
    'Replicas that acknowledge an append.',
  ),
  LETHE_KAFKA_MAX_COMPACTION_LAG_MS: whole(1_000, defaults.maxCompactionLagMs).describe(
    'By when compaction takes a tombstoned record; the bound of "physically gone".',
  ),
  LETHE_KAFKA_DELETE_RETENTION_MS: whole(0, defaults.deleteRetentionMs).describe(
    'How long tombstones stay after compaction.',
  ),
  LETHE_KAFKA_MESSAGE_BYTES_MAX: whole(1024 * 1024, defaults.messageBytesMax).describe(
    'The largest batch.',
  ),
});

type Read = z.output<typeof kafkaSettings>;

const loopback = /^(localhost|127(\.\d+){3}|\[::1\]):\d+$/;

/** Throws CONFIG_INVALID with every broken setting. Files are read when a client is made. */
export function parseKafkaConfig(
  service: string,
  env: Readonly<Record<string, string | undefined>>,
): KafkaConfig {
  const read = parseEnvironment(service, kafkaSettings, env);
  const brokers = read.LETHE_KAFKA_BROKERS.split(',');
  const violations = brokenRules(read, brokers);
  if (violations.length > 0) throw configInvalid(service, violations);
  const sasl = saslOf(read);
  const settings: KafkaSettings = {
    brokers,
    clientId: `lethe-${service}`,
    ...(read.LETHE_KAFKA_TLS === 'off' ? {} : { tls: tlsOf(read) }),
    ...(sasl === undefined ? {} : { sasl }),
  };
  // Its files can be read; otherwise the first connection would be the one to find out.
  connectionOf(settings);
  return Object.freeze({
    settings,
    ensure: {
      mode: read.LETHE_KAFKA_TOPICS,
      topicSettings: {
        replicationFactor: read.LETHE_KAFKA_REPLICATION_FACTOR,
        minInsyncReplicas: read.LETHE_KAFKA_MIN_INSYNC_REPLICAS,
        maxCompactionLagMs: read.LETHE_KAFKA_MAX_COMPACTION_LAG_MS,
        deleteRetentionMs: read.LETHE_KAFKA_DELETE_RETENTION_MS,
        messageBytesMax: read.LETHE_KAFKA_MESSAGE_BYTES_MAX,
      },
    },
  });
}

function brokenRules(read: Read, brokers: readonly string[]): readonly FieldViolation[] {
  const hasLogin =
    read.LETHE_KAFKA_USERNAME !== undefined && read.LETHE_KAFKA_PASSWORD_FILE !== undefined;
  const hasCertificate = read.LETHE_KAFKA_CERTIFICATE_FILE !== undefined;
  const rules: readonly (readonly [boolean, keyof Read, string])[] = [
    [
      read.LETHE_KAFKA_TLS === 'off' && !brokers.every((broker) => loopback.test(broker)),
      'LETHE_KAFKA_TLS',
      'off is for brokers on loopback',
    ],
    [
      read.LETHE_KAFKA_SASL !== 'none' && !hasLogin,
      'LETHE_KAFKA_SASL',
      'needs LETHE_KAFKA_USERNAME and LETHE_KAFKA_PASSWORD_FILE',
    ],
    [
      hasCertificate !== (read.LETHE_KAFKA_PRIVATE_KEY_FILE !== undefined),
      'LETHE_KAFKA_CERTIFICATE_FILE',
      'is set together with LETHE_KAFKA_PRIVATE_KEY_FILE',
    ],
  ];
  return rules.flatMap(([broken, field, description]) => (broken ? [{ field, description }] : []));
}

function tlsOf(read: Read): NonNullable<KafkaSettings['tls']> {
  const {
    LETHE_KAFKA_CA_FILE: authorityFile,
    LETHE_KAFKA_CERTIFICATE_FILE: certificateFile,
    LETHE_KAFKA_PRIVATE_KEY_FILE: privateKeyFile,
  } = read;
  return {
    ...(authorityFile === undefined ? {} : { authorityFile }),
    ...(certificateFile === undefined || privateKeyFile === undefined
      ? {}
      : { client: { certificateFile, privateKeyFile } }),
  };
}

function saslOf(read: Read): KafkaSaslSettings | undefined {
  const {
    LETHE_KAFKA_SASL: mechanism,
    LETHE_KAFKA_USERNAME: username,
    LETHE_KAFKA_PASSWORD_FILE: passwordFile,
  } = read;
  if (mechanism === 'none' || username === undefined || passwordFile === undefined)
    return undefined;
  return { mechanism, username, passwordFile };
}
