import { setLogger } from '@grpc/grpc-js';
import { placeOf } from '@lethe/platform/errors/failure.ts';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import { systemClock } from '@lethe/platform/lifecycle/clock.ts';
import { createLogger } from '@lethe/platform/log/logger.ts';
import { reasons } from '@lethe/proto/reasons.ts';
import { parseConfig } from './config.ts';
import { repairFolder, type RepairReport } from './repair/repair-folder.ts';

/**
 * What `lethe repair` is told, over the IPC channel. The process is one of its own because the embedded stores may spin
 * or abort on damaged files; it takes the settings of the server, and `LETHE_REPAIR=look` to change nothing.
 */
export type RepairMessage =
  | ({ readonly type: 'report' } & RepairReport)
  | {
      readonly type: 'failed';
      readonly reason: string;
      readonly message: string;
      readonly next: string;
    };

// The answer must be on its way before the process ends.
const end = (message: RepairMessage, exitCode: number): void => {
  if (process.send === undefined) {
    process.stdout.write(`${JSON.stringify(message)}\n`);
    process.exit(exitCode);
  }
  process.send(message, () => process.exit(exitCode));
};

const fail = (error: unknown): void => {
  const known = error instanceof ServiceError;
  const reason = known ? error.reason : 'INTERNAL_DEFECT';
  const message = known ? error.message : `Unexpected error: ${placeOf(error)}`;
  end({ type: 'failed', reason, message, next: reasons[reason].next }, 1);
};

process.on('uncaughtException', fail);
process.on('unhandledRejection', fail);
setLogger({ error: () => undefined, info: () => undefined, debug: () => undefined });

try {
  const { dataFolder, logLevel } = parseConfig(process.env);
  const report = await repairFolder({
    dataFolder,
    dryRun: process.env['LETHE_REPAIR'] === 'look',
    clock: systemClock,
    logger: createLogger({ service: 'repair', level: logLevel }),
    onFatal: fail,
    env: process.env,
  });
  end({ type: 'report', ...report }, 0);
} catch (error) {
  fail(error);
}
