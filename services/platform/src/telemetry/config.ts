import { z } from 'zod';
import { parseEnvironment } from '../config/parse-environment.ts';
import { configInvalid } from '../config/parse-together.ts';
import { readSettingFile } from '../config/read-setting-file.ts';
import { Secret } from '../config/secret.ts';

/** Where telemetry goes, and how much of it. */
export interface TelemetryConfig {
  /** Of a collector: OTLP over HTTP, protobuf. The signals have their paths below it. */
  readonly endpoint: URL;
  /** Its authority, PEM; the machine's when absent. */
  readonly authority: string | undefined;
  /** Header lines, `name: value`. */
  readonly headers: ReadonlyMap<string, Secret>;
  /** The share of traces that begin here and are recorded, 0 to 1. */
  readonly traceRatio: number;
  /** How often metrics are exported. */
  readonly intervalMs: number;
  /** `service.instance.id`; a random one when absent. */
  readonly instance: string | undefined;
}

/**
 * Above half of the collector's `metric_expiration` (one minute) a late export would let series come and go, and alerts with
 * them.
 */
export const telemetryIntervalMsMax = 30_000;

/** The variables, with their meaning. */
export const telemetrySettings = z.object({
  LETHE_TELEMETRY_ENDPOINT: z
    .url({ protocol: /^https?$/ })
    .optional()
    .describe(
      'Where an OpenTelemetry collector takes OTLP over HTTP, such as http://127.0.0.1:4318. Not set: no telemetry.',
    ),
  LETHE_TELEMETRY_AUTHORITY_FILE: z
    .string()
    .min(1)
    .optional()
    .describe("The authority of the collector's certificate, PEM; default those of the machine."),
  LETHE_TELEMETRY_HEADERS_FILE: z
    .string()
    .min(1)
    .optional()
    .describe('Headers of each request to it, a line "name: value" each, such as a token.'),
  LETHE_TELEMETRY_TRACE_RATIO: z.coerce
    .number()
    .min(0)
    .max(1)
    .default(0.01)
    .describe('The share of calls from outside whose trace is recorded, 0 to 1.'),
  LETHE_TELEMETRY_INTERVAL_MS: z.coerce
    .number()
    .int()
    .min(500)
    .max(telemetryIntervalMsMax)
    .default(15_000)
    .describe(
      'How often metrics are sent, milliseconds, 30000 at most: the collector forgets after a minute what it does not hear of.',
    ),
  LETHE_TELEMETRY_INSTANCE: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,100}$/)
    .optional()
    .describe('Names this process there, such as its pod; default a random name.'),
});

type Environment = Readonly<Record<string, string | undefined>>;

/** Undefined when telemetry is off. Throws CONFIG_INVALID; reads the files that are named. */
export function parseTelemetryConfig(name: string, env: Environment): TelemetryConfig | undefined {
  const read = parseEnvironment(name, telemetrySettings, env);
  const {
    LETHE_TELEMETRY_ENDPOINT: endpoint,
    LETHE_TELEMETRY_AUTHORITY_FILE: authorityFile,
    LETHE_TELEMETRY_HEADERS_FILE: headersFile,
  } = read;
  if (endpoint === undefined) return undefined;
  return Object.freeze({
    endpoint: new URL(endpoint),
    authority:
      authorityFile === undefined
        ? undefined
        : readSettingFile('LETHE_TELEMETRY_AUTHORITY_FILE', authorityFile),
    headers: headersFile === undefined ? new Map() : readHeaders(name, headersFile),
    traceRatio: read.LETHE_TELEMETRY_TRACE_RATIO,
    intervalMs: read.LETHE_TELEMETRY_INTERVAL_MS,
    instance: read.LETHE_TELEMETRY_INSTANCE,
  });
}

const headerLine = /^([A-Za-z0-9-]+):[ \t]*(\S(?:.*\S)?)[ \t]*$/;

function readHeaders(name: string, file: string): ReadonlyMap<string, Secret> {
  const field = 'LETHE_TELEMETRY_HEADERS_FILE';
  const lines = readSettingFile(field, file).split('\n');
  const headers = lines
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [, header, value] = headerLine.exec(line) ?? [];
      if (header === undefined || value === undefined) {
        const description = 'the file holds a line that is not "name: value"';
        throw configInvalid(name, [{ field, description }]);
      }
      return [header, new Secret(value)] as const;
    });
  return new Map(headers);
}
