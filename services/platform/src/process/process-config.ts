import { z } from 'zod';
import type { ServiceName } from '@lethe/proto/access.ts';
import { type TokenConfig, parseTokenConfig, tokenSettings } from '../auth/token-config.ts';
import { parseEnvironment } from '../config/parse-environment.ts';
import { configInvalid, parseTogether } from '../config/parse-together.ts';
import {
  type PostgresConfig,
  parsePostgresConfig,
  postgresSettings,
} from '../database/postgres-config.ts';
import type { FieldViolation } from '../errors/service-error.ts';
import { ServiceError } from '../errors/service-error.ts';
import { type KafkaConfig, kafkaSettings, parseKafkaConfig } from '../event-log/kafka-config.ts';
import { limitSettings, limitsOf } from '../grpc/limits-config.ts';
import type { ServerLimits } from '../grpc/limits.ts';
import {
  parseTelemetryConfig,
  type TelemetryConfig,
  telemetrySettings,
} from '../telemetry/config.ts';
import { readTlsMaterial, type TlsFiles } from '../tls/tls-material.ts';

/** Where a port listens. */
export interface PortConfig {
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
}

/** What every service's process runs with. */
export interface ProcessConfig {
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error' | 'silent';
  /** Undefined: off. */
  readonly telemetry: TelemetryConfig | undefined;
  /** How long calls in flight may take to finish after a stop was asked for. */
  readonly shutdownGraceMs: number;
  /** How long the process goes on serving after it says that it is not ready, so that balancers hear of it. */
  readonly drainDelayMs: number;
  readonly health: PortConfig & { readonly isEncrypted: boolean };
  /** Mutual TLS. */
  readonly internal: PortConfig & { readonly tls: Required<TlsFiles> };
  /** Undefined for a service without a public API. */
  readonly publicPort: PublicPortConfig | undefined;
  /** `host:port` by service. */
  readonly peers: ReadonlyMap<ServiceName, string>;
  readonly postgres: PostgresConfig;
  readonly kafka: KafkaConfig;
}

export interface PublicPortConfig extends PortConfig {
  /** Undefined: plaintext, on loopback. */
  readonly tls: TlsFiles | undefined;
  readonly tokens: TokenConfig;
  readonly limits: ServerLimits;
}

/** What a service is, as far as its process is concerned. */
export interface ProcessShape {
  readonly name: ServiceName;
  /** The services that it calls. */
  readonly calls: readonly ServiceName[];
  readonly hasPublicApi: boolean;
}

type Environment = Readonly<Record<string, string | undefined>>;

const port = (fallback: number) => z.coerce.number().int().min(0).max(65_535).default(fallback);
const host = z.string().min(1);
const file = z.string().min(1);

const coreSettings = z.object({
  LETHE_LOG_LEVEL: z
    .enum(['debug', 'info', 'warn', 'error', 'silent'])
    .default('info')
    .describe('The least that is logged, as JSON lines on standard output.'),
  LETHE_SHUTDOWN_GRACE_MS: z.coerce
    .number()
    .int()
    .min(0)
    .max(600_000)
    .default(20_000)
    .describe('How long calls in flight may take to finish once the process was told to stop.'),
  LETHE_DRAIN_DELAY_MS: z.coerce
    .number()
    .int()
    .min(0)
    .max(120_000)
    .default(0)
    .describe(
      'How long it goes on serving before that, not ready any more, so that balancers hear of it.',
    ),
  LETHE_HEALTH_HOST: host.default('0.0.0.0').describe('Where /live and /ready listen.'),
  LETHE_HEALTH_PORT: port(7481).describe('Their port.'),
  LETHE_HEALTH_TLS: z
    .enum(['on', 'off'])
    .default('on')
    .describe('on: HTTPS with the internal certificate. off: HTTP, on loopback only.'),
  LETHE_INTERNAL_HOST: host.default('0.0.0.0').describe('Where other services call.'),
  LETHE_INTERNAL_PORT: port(7482).describe('Their port; mutual TLS, always.'),
  LETHE_INTERNAL_CERTIFICATE_FILE: file.describe(
    "The service's own certificate, PEM, with the URI spiffe://lethe/<service>; read again when it changes, like the two below.",
  ),
  LETHE_INTERNAL_PRIVATE_KEY_FILE: file.describe('Its private key, PEM.'),
  LETHE_INTERNAL_AUTHORITY_FILE: file.describe(
    "The platform's own authority, PEM; two of them while one replaces the other.",
  ),
});

const publicSettings = z.object({
  LETHE_PUBLIC_HOST: host.default('0.0.0.0').describe('Where clients call.'),
  LETHE_PUBLIC_PORT: port(7480).describe('Their port.'),
  LETHE_PUBLIC_TLS: z
    .enum(['on', 'off'])
    .default('on')
    .describe('off: plaintext, on loopback only.'),
  LETHE_PUBLIC_CERTIFICATE_FILE: file
    .optional()
    .describe('The certificate that clients see, PEM; read again when it changes, like its key.'),
  LETHE_PUBLIC_PRIVATE_KEY_FILE: file.optional().describe('Its private key, PEM.'),
  ...limitSettings,
});

const address = z.string().regex(/^[^\s:]+:\d{1,5}$/, 'must be host:port');

/** The address of each service that this one calls. */
function peerSettings(shape: ProcessShape) {
  return z.object(
    Object.fromEntries(
      shape.calls.map((service) => [
        peerVariable(service),
        address.describe(`The internal port of ${service}, host:port.`),
      ]),
    ),
  );
}

function peerVariable(service: ServiceName): string {
  return `LETHE_PEER_${service.toUpperCase()}`;
}

/** All variables of a process but the service's own, as schemas to describe them by. */
export function processSettings(shape: ProcessShape): readonly z.ZodObject[] {
  return [
    coreSettings,
    ...(shape.hasPublicApi ? [publicSettings, tokenSettings] : []),
    peerSettings(shape),
    postgresSettings,
    kafkaSettings,
    telemetrySettings,
  ];
}

/**
 * Throws CONFIG_INVALID with every broken setting at once. Reads and checks the files that are named, as of `nowMs`;
 * connects to nothing.
 */
export function parseProcessConfig(
  shape: ProcessShape,
  env: Environment,
  nowMs: number,
): ProcessConfig {
  const { name } = shape;
  const parts = parseTogether(name, {
    core: () => parseCore(shape, env, nowMs),
    publicPort: () => (shape.hasPublicApi ? parsePublic(name, env, nowMs) : undefined),
    tokens: () => (shape.hasPublicApi ? parseTokenConfig(name, env) : undefined),
    peers: () => parsePeers(shape, env),
    postgres: () => parsePostgresConfig(name, env),
    kafka: () => parseKafkaConfig(name, env),
    telemetry: () => parseTelemetryConfig(name, env),
  });
  const { core, publicPort, tokens, peers, postgres, kafka, telemetry } = parts;
  return Object.freeze({
    ...core,
    publicPort:
      publicPort === undefined || tokens === undefined ? undefined : { ...publicPort, tokens },
    peers,
    postgres,
    kafka,
    telemetry,
  });
}

function parseCore(shape: ProcessShape, env: Environment, nowMs: number) {
  const read = parseEnvironment(shape.name, coreSettings, env);
  const isEncrypted = read.LETHE_HEALTH_TLS === 'on';
  const violations = [
    ...plaintextViolations('LETHE_HEALTH_TLS', isEncrypted, read.LETHE_HEALTH_HOST),
    ...fileViolations(
      'LETHE_INTERNAL',
      () => readTlsMaterial(internalFiles(read), { identity: shape.name, nowMs }),
      internalFiles(read),
    ),
  ];
  if (violations.length > 0) throw configInvalid(shape.name, violations);
  return {
    logLevel: read.LETHE_LOG_LEVEL,
    shutdownGraceMs: read.LETHE_SHUTDOWN_GRACE_MS,
    drainDelayMs: read.LETHE_DRAIN_DELAY_MS,
    health: { host: read.LETHE_HEALTH_HOST, port: read.LETHE_HEALTH_PORT, isEncrypted },
    internal: {
      host: read.LETHE_INTERNAL_HOST,
      port: read.LETHE_INTERNAL_PORT,
      tls: internalFiles(read),
    },
  };
}

function internalFiles(read: z.output<typeof coreSettings>): Required<TlsFiles> {
  return {
    certificateFile: read.LETHE_INTERNAL_CERTIFICATE_FILE,
    privateKeyFile: read.LETHE_INTERNAL_PRIVATE_KEY_FILE,
    authorityFile: read.LETHE_INTERNAL_AUTHORITY_FILE,
  };
}

function parsePublic(name: ServiceName, env: Environment, nowMs: number) {
  const read = parseEnvironment(name, publicSettings, env);
  const { LETHE_PUBLIC_HOST, LETHE_PUBLIC_PORT } = read;
  const where = { host: LETHE_PUBLIC_HOST, port: LETHE_PUBLIC_PORT, limits: limitsOf(read) };
  const isEncrypted = read.LETHE_PUBLIC_TLS === 'on';
  const broken = plaintextViolations('LETHE_PUBLIC_TLS', isEncrypted, where.host);
  if (broken.length > 0) throw configInvalid(name, broken);
  if (!isEncrypted) return { ...where, tls: undefined };
  const certificateFile = read.LETHE_PUBLIC_CERTIFICATE_FILE;
  const privateKeyFile = read.LETHE_PUBLIC_PRIVATE_KEY_FILE;
  if (certificateFile === undefined || privateKeyFile === undefined) {
    const description =
      'set it and LETHE_PUBLIC_PRIVATE_KEY_FILE, or LETHE_PUBLIC_TLS=off on loopback';
    throw configInvalid(name, [{ field: 'LETHE_PUBLIC_CERTIFICATE_FILE', description }]);
  }
  const files = { certificateFile, privateKeyFile };
  const violations = fileViolations('LETHE_PUBLIC', () => readTlsMaterial(files, { nowMs }), files);
  if (violations.length > 0) throw configInvalid(name, violations);
  return { ...where, tls: files };
}

function parsePeers(shape: ProcessShape, env: Environment): ReadonlyMap<ServiceName, string> {
  const read = parseEnvironment(shape.name, peerSettings(shape), env);
  return new Map(shape.calls.map((service) => [service, String(read[peerVariable(service)])]));
}

function plaintextViolations(field: string, isEncrypted: boolean, at: string): FieldViolation[] {
  const isLoopback = at === 'localhost' || at === '::1' || /^127\.\d+\.\d+\.\d+$/.test(at);
  return isEncrypted || isLoopback ? [] : [{ field, description: 'off is for a host on loopback' }];
}

/** The violations of files, by the variables that name them. */
function fileViolations(prefix: string, read: () => unknown, files: TlsFiles): FieldViolation[] {
  const variables = new Map([
    [files.certificateFile, `${prefix}_CERTIFICATE_FILE`],
    [files.privateKeyFile, `${prefix}_PRIVATE_KEY_FILE`],
    [files.authorityFile, `${prefix}_AUTHORITY_FILE`],
  ]);
  try {
    read();
    return [];
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    return error.violations.map(({ field, description }) => ({
      field: variables.get(field) ?? field,
      description: `the file ${description}`,
    }));
  }
}
