import { setLogger } from '@grpc/grpc-js';
import { placeOf } from '@lethe/platform/errors/failure.ts';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import { createLogger } from '@lethe/platform/log/logger.ts';
import { reasons } from '@lethe/proto/reasons.ts';
import { startStandalone } from './app.ts';
import { parseConfig } from './config.ts';

/**
 * What the process that started this one is told, over the IPC channel when there is one (`lethe up`).
 * When that channel closes, this process stops by itself: it must not outlive the terminal it belongs to.
 */
export type StandaloneMessage =
  | { readonly type: 'ready'; readonly address: string; readonly healthAddress: string }
  | {
      readonly type: 'failed';
      readonly reason: string;
      readonly message: string;
      readonly next: string;
    };

const tell = (message: StandaloneMessage): void => {
  process.send?.(message);
};

const fail = (error: unknown): never => {
  const known = error instanceof ServiceError;
  const reason = known ? error.reason : 'INTERNAL_DEFECT';
  const message = known ? error.message : `Unexpected error: ${placeOf(error)}`;
  tell({ type: 'failed', reason, message, next: reasons[reason].next });
  if (process.send === undefined) process.stderr.write(`lethe: ${message}\n`);
  process.exit(1);
};

process.on('uncaughtException', fail);
process.on('unhandledRejection', fail);

// grpc-js would write peer addresses and library errors to stderr; what matters reaches our own log.
setLogger({ error: () => undefined, info: () => undefined, debug: () => undefined });

try {
  const config = parseConfig(process.env);
  const logger = createLogger({ service: 'standalone', level: config.logLevel });
  const started = startStandalone(config, { logger, onFatal: fail, env: process.env });
  let stopping: Promise<void> | undefined;
  const stop = () => {
    stopping ??= started
      .then(async (standalone) => await standalone.stop())
      .then(() => process.exit(0), fail);
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  process.on('disconnect', stop);
  const { address, healthAddress } = await started;
  tell({ type: 'ready', address, healthAddress });
  logger.info({ address }, 'ready');
} catch (error) {
  fail(error);
}
