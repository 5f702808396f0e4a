import { readFileSync } from 'node:fs';
import type { KafkaConfig, SASLOptions } from 'kafkajs';
import { ServiceError } from '../errors/service-error.ts';

/** How to reach a Kafka cluster. Secrets and certificates are files, read when a client is made. */
export interface KafkaSettings {
  /** Bootstrap addresses, "host:port". */
  readonly brokers: readonly string[];
  /** Shown in the broker's logs and quotas: the service's name. */
  readonly clientId: string;
  /** Absent: plaintext, which is refused beside SASL unless every broker is on loopback. */
  readonly tls?: KafkaTlsFiles;
  readonly sasl?: KafkaSaslSettings;
}

/** PEM files. */
export interface KafkaTlsFiles {
  /** Authorities that may sign the brokers' certificates; the system's own when absent. */
  readonly authorityFile?: string;
  /** This client's certificate and private key, for brokers that ask for one. */
  readonly client?: { readonly certificateFile: string; readonly privateKeyFile: string };
}

export interface KafkaSaslSettings {
  readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512';
  readonly username: string;
  /** Holds the password alone; a line break at its end does not count. */
  readonly passwordFile: string;
}

const loopbackAddress = /^(localhost|127(\.\d+){3}|\[::1\]):\d+$/;

/**
 * The settings as the client library takes them, the files read. Throws CONFIG_INVALID when a file cannot be read or
 * a password would travel in the clear.
 */
export function connectionOf(settings: KafkaSettings): KafkaConfig {
  const { brokers, clientId, tls, sasl } = settings;
  if (brokers.length === 0) {
    throw new ServiceError('CONFIG_INVALID', 'Kafka: name at least one broker as host:port');
  }
  const onLoopback = brokers.every((broker) => loopbackAddress.test(broker));
  if (sasl !== undefined && tls === undefined && !onLoopback) {
    throw new ServiceError(
      'CONFIG_INVALID',
      'Kafka: SASL without TLS is for loopback brokers only',
    );
  }
  return {
    brokers: [...brokers],
    clientId,
    ...(tls === undefined ? {} : { ssl: secureContextOf(tls) }),
    ...(sasl === undefined ? {} : { sasl: saslOf(sasl) }),
  };
}

function secureContextOf({ authorityFile, client }: KafkaTlsFiles) {
  return {
    rejectUnauthorized: true,
    ...(authorityFile === undefined ? {} : { ca: textOf(authorityFile) }),
    ...(client === undefined
      ? {}
      : { cert: textOf(client.certificateFile), key: textOf(client.privateKeyFile) }),
  };
}

function saslOf({ mechanism, username, passwordFile }: KafkaSaslSettings): SASLOptions {
  const password = textOf(passwordFile).replace(/\r?\n$/, '');
  switch (mechanism) {
    case 'plain':
      return { mechanism, username, password };
    case 'scram-sha-256':
      return { mechanism, username, password };
    case 'scram-sha-512':
      return { mechanism, username, password };
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new ServiceError('CONFIG_INVALID', `Kafka: cannot read ${path}`, { cause: error });
  }
}
