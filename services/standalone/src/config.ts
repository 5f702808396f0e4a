import path from 'node:path';
import { z } from 'zod';
import { parseEnvironment } from '@lethe/platform/config/parse-environment.ts';
import { parseTogether } from '@lethe/platform/config/parse-together.ts';
import { limitSettings, limitsOf } from '@lethe/platform/grpc/limits-config.ts';
import type { ServerLimits } from '@lethe/platform/grpc/limits.ts';
import { parseTelemetryConfig, type TelemetryConfig } from '@lethe/platform/telemetry/config.ts';
import { parseRealSystems, type RealSystems } from './systems-config.ts';

/** What standalone runs with. */
export interface StandaloneConfig {
  /** Absolute path of the data folder. */
  readonly dataFolder: string;
  /** Plaintext, so loopback alone; the services as processes of their own end TLS themselves. */
  readonly host: '127.0.0.1' | '::1';
  /** 0 takes any free port. */
  readonly port: number;
  readonly healthPort: number;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error' | 'silent';
  /** How long running calls may take to finish after a stop was asked for. */
  readonly shutdownGraceMs: number;
  readonly limits: ServerLimits;
  /** Undefined: off. */
  readonly telemetry: TelemetryConfig | undefined;
  /** What does not lie in the data folder. */
  readonly systems: RealSystems;
}

const portSchema = z.coerce.number().int().min(0).max(65_535);

const environment = z.object({
  LETHE_DATA: z.string().min(1).default('.lethe'),
  LETHE_HOST: z.enum(['127.0.0.1', '::1']).default('127.0.0.1'),
  LETHE_PORT: portSchema.default(7480),
  LETHE_HEALTH_PORT: portSchema.default(7481),
  LETHE_LOG_LEVEL: z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('warn'),
  LETHE_SHUTDOWN_GRACE_MS: z.coerce.number().int().min(0).max(60_000).default(5_000),
  ...limitSettings,
});

/**
 * Collects every problem; reads the files that are named, connects to nothing. Throws CONFIG_INVALID with a violation
 * per setting.
 */
export function parseConfig(env: Readonly<Record<string, string | undefined>>): StandaloneConfig {
  const { data, systems, telemetry } = parseTogether('standalone', {
    data: () => parseEnvironment('standalone', environment, env),
    systems: () => parseRealSystems(env),
    // Whoever looks at one machine wants to see every call.
    telemetry: () =>
      parseTelemetryConfig('standalone', { LETHE_TELEMETRY_TRACE_RATIO: '1', ...env }),
  });
  return Object.freeze({
    dataFolder: path.resolve(data.LETHE_DATA),
    host: data.LETHE_HOST,
    port: data.LETHE_PORT,
    healthPort: data.LETHE_HEALTH_PORT,
    logLevel: data.LETHE_LOG_LEVEL,
    shutdownGraceMs: data.LETHE_SHUTDOWN_GRACE_MS,
    limits: limitsOf(data),
    telemetry,
    systems,
  });
}
