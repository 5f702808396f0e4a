import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { request } from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** What a process says of itself on its health port. */
export interface SaidHealth {
  readonly phase: 'starting' | 'serving' | 'stopping';
  readonly waitsFor?: string;
  readonly problems: readonly string[];
}

/** One service as a plain process; its log lies in a file. */
export interface ServiceProcess {
  readonly name: string;
  readonly logFile: string;
  readonly publicAddress: string;
  readonly internalAddress: string;
  pid(): number | undefined;
  /** How to run its main with arguments instead, such as `--repair`. */
  command(...args: readonly string[]): ServiceCommand;
  /** With further variables, for this once. */
  start(further?: Readonly<Record<string, string>>): void;
  /** SIGTERM, or another; answers with the exit code, null when a signal ended it. */
  end(signal?: NodeJS.Signals): Promise<number | null>;
  /** Waits until it ends by itself; answers like `end`. */
  ended(): Promise<number | null>;
  /** Undefined while nothing answers. */
  health(): Promise<SaidHealth | undefined>;
  /** Throws when it has ended, or does not serve within the time. */
  untilServing(withinMs: number): Promise<void>;
}

export interface ServiceCommand {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

export interface ServiceProcessWish {
  readonly name: string;
  readonly env: Readonly<Record<string, string>>;
  readonly logFile: string;
  readonly ports: { readonly public: number; readonly internal: number; readonly health: number };
  readonly authorityPem: string;
}

const pollMs = 100;

export function serviceProcess(wish: ServiceProcessWish): ServiceProcess {
  const { name, env, logFile, ports, authorityPem } = wish;
  const main = fileURLToPath(new URL(`../../services/${name}/src/main.ts`, import.meta.url));
  let child: ChildProcess | undefined;
  let ended: Promise<number | null> = Promise.resolve(null);
  const killWithThis = () => child?.kill('SIGKILL');
  const health = async () => await askHealth(ports.health, authorityPem);
  return {
    name,
    logFile,
    publicAddress: `localhost:${ports.public}`,
    internalAddress: `localhost:${ports.internal}`,
    pid: () => child?.pid,
    command: (...args) => ({ file: process.execPath, args: [main, ...args], env }),
    start: (further) => {
      if (child !== undefined) throw new Error(`${name} runs already`);
      const log = openSync(logFile, 'a');
      const started = spawn(process.execPath, [main], {
        env: { ...env, ...further },
        stdio: ['ignore', log, log],
      });
      closeSync(log);
      child = started;
      process.once('exit', killWithThis);
      ended = new Promise((resolve) => {
        started.once('exit', (code) => {
          process.off('exit', killWithThis);
          if (child === started) child = undefined;
          resolve(code);
        });
      });
    },
    end: async (signal = 'SIGTERM') => {
      child?.kill(signal);
      return await ended;
    },
    ended: async () => await ended,
    health,
    untilServing: async (withinMs) => {
      const endsMs = performance.now() + withinMs;
      for (;;) {
        const said = await health();
        if (said?.phase === 'serving') return;
        const isLate = performance.now() > endsMs;
        if (child === undefined || isLate) {
          const why = isLate ? `waits for ${said?.waitsFor ?? 'its start'}` : 'has ended';
          const tail = readFileSync(logFile, 'utf8').slice(-2_000);
          throw new Error(`${name} ${why}; the end of its log: ${tail}`);
        }
        await delay(pollMs);
      }
    },
  };
}

async function askHealth(port: number, authorityPem: string): Promise<SaidHealth | undefined> {
  return await new Promise((resolve) => {
    const options = { host: 'localhost', port, path: '/ready', ca: authorityPem, agent: false };
    const asked = request(options, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () =>
        resolve(JSON.parse(Buffer.concat(chunks).toString('utf8')) as SaidHealth),
      );
      response.on('error', () => resolve(undefined));
    });
    asked.setTimeout(5_000, () => asked.destroy());
    asked.on('error', () => resolve(undefined));
    asked.end();
  });
}
