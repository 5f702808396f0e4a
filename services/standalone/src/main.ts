import { randomBytes } from 'node:crypto';
import { setLogger } from '@grpc/grpc-js';
import { placeOf } from '@lethe/platform/errors/failure.ts';
import { type FieldViolation, ServiceError } from '@lethe/platform/errors/service-error.ts';
import { systemClock } from '@lethe/platform/lifecycle/clock.ts';
import { createLogger } from '@lethe/platform/log/logger.ts';
import { openTelemetry } from '@lethe/platform/telemetry/open-telemetry.ts';
import { reasons } from '@lethe/proto/reasons.ts';
import { startStandalone } from './app.ts';
import { parseConfig } from './config.ts';
import type { Places } from './system-places.ts';

/**
 * What the process that started this one is told, over the IPC channel when there is one (`lethe up`).
 * When that channel closes, this process stops by itself: it must not outlive the terminal it belongs to.
 */
export type StandaloneMessage =
  | {
      readonly type: 'ready';
      readonly address: string;
      readonly healthAddress: string;
      readonly places: Places;
    }
  | {
      readonly type: 'failed';
      readonly reason: string;
      readonly message: string;
      readonly next: string;
      readonly violations: readonly FieldViolation[];
    };

const tell = (message: StandaloneMessage): void => {
  process.send?.(message);
};

const fail = (error: unknown): never => {
  const known = error instanceof ServiceError;
  const reason = known ? error.reason : 'INTERNAL_DEFECT';
  const message = known ? error.message : `Unexpected error: ${placeOf(error)}`;
  const violations = known ? error.violations : [];
  tell({ type: 'failed', reason, message, next: reasons[reason].next, violations });
  if (process.send === undefined) process.stderr.write(`lethe: ${message}\n`);
  process.exit(1);
};

process.on('uncaughtException', fail);
process.on('unhandledRejection', fail);

// grpc-js would write peer addresses and library errors to stderr; what matters reaches our own log.
setLogger({ error: () => undefined, info: () => undefined, debug: () => undefined });

try {
  const config = parseConfig(process.env);
  const telemetry =
    config.telemetry === undefined
      ? undefined
      : openTelemetry(config.telemetry, {
          name: 'standalone',
          clock: systemClock,
          randomBytes,
          onUndelivered: () => logger.warn({ component: 'telemetry' }, 'telemetry is not taken'),
        });
  const logger = createLogger({
    service: 'standalone',
    level: config.logLevel,
    ...(telemetry === undefined ? {} : { copies: telemetry.logs }),
  });
  const runtime = { logger, onFatal: fail, env: process.env };
  const started = startStandalone(
    config,
    telemetry === undefined ? runtime : { ...runtime, telemetry },
  );
  let stopping: Promise<void> | undefined;
  const stop = () => {
    stopping ??= started
      .then(async (standalone) => await standalone.stop())
      .then(() => process.exit(0), fail);
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  process.on('disconnect', stop);
  const { address, healthAddress, places } = await started;
  tell({ type: 'ready', address, healthAddress, places });
  logger.info({ address }, 'ready');
} catch (error) {
  fail(error);
}
