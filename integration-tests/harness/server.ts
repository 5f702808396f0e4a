import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { repository } from '../temporary-tree.ts';
import type { Ended, ProcessKeeper } from './processes.ts';

const serverMain = join(repository, 'services/standalone/src/main.ts');

export interface ServerWish {
  readonly dataFolder: string;
  /** Takes what the server writes, appended. */
  readonly logFile: string;
  /** 0 takes any free port. */
  readonly port?: number;
  readonly env?: Readonly<Record<string, string>>;
}

/** A standalone server that serves. */
export interface RunningServer {
  readonly address: string;
  readonly healthAddress: string;
  readonly dataFolder: string;
  readonly logFile: string;
  readonly ended: Promise<Ended>;
  isRunning(): boolean;
  /** Asks it to finish and waits for its end. */
  stop(): Promise<Ended>;
  /** SIGKILL, and waits for its end. */
  killNine(): Promise<Ended>;
}

/** Why a server did not start. */
export class NotStarted extends Error {
  override readonly name = 'NotStarted';
  readonly reason: string;
  /** What to do, as the server says. */
  readonly next: string;

  constructor({ reason, message, next }: FailedMessage) {
    super(message);
    this.reason = reason;
    this.next = next;
  }
}

interface FailedMessage {
  readonly type: 'failed';
  readonly reason: string;
  readonly message: string;
  readonly next: string;
}

type StartMessage =
  | { readonly type: 'ready'; readonly address: string; readonly healthAddress: string }
  | FailedMessage;

/** Starts the server that `lethe up` would start, and lets it serve on; `lethe up` itself ends without a terminal. */
export async function startServer(keeper: ProcessKeeper, wish: ServerWish): Promise<RunningServer> {
  const { dataFolder, logFile, port = 0, env } = wish;
  const log = openSync(logFile, 'a');
  const kept = keeper.startNode(serverMain, [], {
    env: {
      LETHE_DATA: dataFolder,
      LETHE_PORT: String(port),
      LETHE_HEALTH_PORT: '0',
      LETHE_LOG_LEVEL: 'debug',
      ...env,
    },
    stdio: ['ignore', log, log, 'ipc'],
  });
  closeSync(log);
  const first = await Promise.race([
    new Promise<StartMessage>((resolve) => kept.child.once('message', resolve)),
    kept.ended.then(({ exitCode, signal }): FailedMessage => {
      const message = `ended with ${exitCode ?? signal} and said nothing; see ${logFile}`;
      return { type: 'failed', reason: '', message, next: '' };
    }),
  ]);
  if (first.type === 'failed') {
    await kept.ended;
    throw new NotStarted(first);
  }
  const end = async (signal: NodeJS.Signals) => {
    kept.kill(signal);
    return await kept.ended;
  };
  return {
    address: first.address,
    healthAddress: first.healthAddress,
    dataFolder,
    logFile,
    ended: kept.ended,
    isRunning: () => kept.child.exitCode === null && kept.child.signalCode === null,
    stop: async () => await end('SIGTERM'),
    killNine: async () => await end('SIGKILL'),
  };
}
