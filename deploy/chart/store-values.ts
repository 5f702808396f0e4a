import {
  flag,
  group,
  type Group,
  list,
  oneOf,
  optionalText,
  text,
  type Value,
  whole,
} from './schema-parts.ts';

/** Names of hosts and of objects in Kubernetes. */
export const endpointName = '[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?';
const httpsAddress = 'https://[^/\\s]+';

const peer = { $ref: '#/definitions/peer' };

function storePeers(description: string): Value {
  return list(
    `${description}: CIDR or selector, for the NetworkPolicy. Needed unless that is off.`,
    peer,
  );
}

export function secretName(description: string, fallback: string): Value {
  return text(description, fallback, { pattern: `^${endpointName}$`, maxLength: 253 });
}

function authorityKey(): Value {
  return text('Where in the Secret the authority lies, PEM; empty: those of Node.', 'ca.crt');
}

export function postgresValues(): Group {
  return group(
    'PostgreSQL 15 or later: a role and a schema per service (docs/operators/postgresql.md).',
    {
      host: optionalText('Required. The server, or a pooler.', endpointName),
      port: whole('Its port.', 5_432, 1, 65_535),
      database: text('The database.', 'lethe', { pattern: '^[A-Za-z0-9_-]{1,63}$' }),
      lockHost: optionalText('The server itself, where host is a pooler.', endpointName),
      lockPort: whole('Its port.', 5_432, 1, 65_535),
      userPrefix: optionalText('Before the name of the service.', '[a-z][a-z0-9_]{0,40}'),
      existingSecret: secretName(
        'With a password per service, under its name.',
        'lethe-postgresql',
      ),
      authorityKey: authorityKey(),
      peers: storePeers('Where it is'),
    },
  );
}

export function kafkaValues(): Group {
  return group('Apache Kafka (docs/operators/kafka.md).', {
    brokers: list('Required. host:port of some.', {
      type: 'string',
      pattern: '^[^\\s,:]+:[0-9]{1,5}$',
    }),
    sasl: oneOf('How services log in.', 'scram-sha-512', [
      'none',
      'plain',
      'scram-sha-256',
      'scram-sha-512',
    ]),
    userPrefix: optionalText('Before the name of the service.', '[A-Za-z0-9._-]{1,40}'),
    clientCertificates: flag(
      'Services show certificates: <service>.crt and <service>.key in the Secret.',
      false,
    ),
    existingSecret: secretName('With a password per service, under its name.', 'lethe-kafka'),
    authorityKey: authorityKey(),
    replicationFactor: whole('Replicas of each partition.', 3, 1, 32),
    minInsyncReplicas: whole('Replicas that acknowledge an append.', 2, 1, 32),
    maxCompactionLagMs: whole('The bound of "physically gone".', 21_600_000, 1_000, 2_147_483_647),
    deleteRetentionMs: whole('How long tombstones stay.', 86_400_000, 0, 2_147_483_647),
    messageBytesMax: whole('The largest batch.', 2_097_152, 1_048_576, 104_857_600),
    peers: storePeers('Where brokers are'),
  });
}

export function clickHouseValues(): Group {
  return group('ClickHouse over HTTPS; analytics alone has it (docs/operators/clickhouse.md).', {
    url: optionalText('Required. https://host:port.', httpsAddress),
    username: text('As whom to log in.', 'lethe_analytics', { minLength: 1 }),
    existingSecret: secretName('With `password`.', 'lethe-clickhouse'),
    authorityKey: authorityKey(),
    tables: oneOf('create makes missing tables at the start, check refuses.', 'create', [
      'create',
      'check',
    ]),
    cluster: optionalText('Of a replicated ledger.', '[A-Za-z0-9_]{1,60}'),
    peers: storePeers('Where it is'),
  });
}

export function kmsValues(): Group {
  return group('The KMS; keys alone has it.', {
    type: oneOf('Which.', 'vault', ['vault', 'aws']),
    vault: group('Vault or OpenBao (docs/operators/vault.md).', {
      address: optionalText('Required with vault. https://host:port.', httpsAddress),
      namespace: optionalText('Of the mounts.', '[^\\s]+'),
      transitMount: text('Where Transit is mounted.', 'transit', { minLength: 1 }),
      keyPrefix: text("Before the tenant in a key's name.", 'lethe-', {
        pattern: '^[A-Za-z0-9_-]*$',
      }),
      auth: oneOf('How to log in.', 'approle', ['approle', 'kubernetes', 'token-file']),
      authMount: optionalText('Where the login is mounted; else its name.', '[^\\s]+'),
      role: optionalText('The role, with kubernetes.', '[^\\s]+'),
      audience: text('Of the token that the pod shows, with kubernetes.', 'vault', {
        minLength: 1,
      }),
      existingSecret: secretName(
        'With `role-id` and `secret-id` (approle) or `token` (token-file), and the authority.',
        'lethe-vault',
      ),
      authorityKey: authorityKey(),
      peers: storePeers('Where it is'),
    }),
    aws: group('AWS KMS (docs/operators/aws-kms.md).', {
      region: optionalText('Required with aws.', '[a-z0-9-]+'),
      endpoint: optionalText('Of a VPC endpoint.', httpsAddress),
      aliasPrefix: text('Before the tenant in an alias.', 'lethe', {
        pattern: '^[A-Za-z0-9/_-]+$',
      }),
      pendingWindowDays: whole('How long AWS keeps a closed key.', 7, 7, 30),
      existingSecret: optionalText(
        'With `access-key-id` and `secret-access-key`; better without: then the pod has a role.',
        endpointName,
      ),
      peers: storePeers('Where KMS is, and with a role by IRSA STS'),
      credentialPeers: list(
        'Where the pod asks for its role at port 80: 169.254.170.23/32 with Pod Identity, 169.254.169.254/32 with that of the instance. CIDR or selector.',
        peer,
      ),
    }),
  });
}

export function tokenValues(): Group {
  return group('Whose access tokens are taken.', {
    issuer: optionalText('Required. The "iss", exactly.', '\\S+'),
    audience: text('The "aud".', 'lethe', { minLength: 1 }),
    algorithms: list(
      'Of signatures; with publicKey exactly one.',
      {
        enum: [
          'EdDSA',
          'ES256',
          'ES384',
          'ES512',
          'PS256',
          'PS384',
          'PS512',
          'RS256',
          'RS384',
          'RS512',
        ],
      },
      ['EdDSA', 'ES256', 'RS256'],
      { minItems: 1, uniqueItems: true },
    ),
    source: oneOf('Where the public keys are: a JWKS or PEM in a Secret, or an address.', 'jwks', [
      'jwks',
      'publicKey',
      'url',
    ]),
    existingSecret: secretName('With `jwks.json` or `public-key.pem`.', 'lethe-token-issuer'),
    url: optionalText('Of the JWKS, with source url.', 'https://\\S+'),
    peers: storePeers('Where that is, with source url'),
  });
}
