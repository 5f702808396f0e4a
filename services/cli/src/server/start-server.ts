import { fork, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { CliError } from '../failures/cli-error.ts';
import { exitCodes } from '../exit-codes.ts';
import { formatDuration } from '../output/numbers.ts';
import { startProgress } from '../output/progress.ts';
import type { Surroundings } from '../surroundings.ts';

/** The server's settings that `lethe up` may say; the rest is its own affair. */
export interface ServerWish {
  readonly data: string;
  readonly port?: number | undefined;
  readonly healthPort?: number | undefined;
  /** Brokers, `host:port` with commas. */
  readonly kafka?: string | undefined;
  /** Without a password. */
  readonly postgres?: string | undefined;
  readonly vault?: string | undefined;
  readonly clickhouse?: string | undefined;
  /** Of an OpenTelemetry collector. */
  readonly telemetry?: string | undefined;
}

export interface RunningServer {
  readonly address: string;
  readonly healthAddress: string;
  /** Where the stores lie that are not in the data folder, such as "Kafka localhost:9092". */
  readonly places: readonly string[];
  /** Rejects when the server ends without having been asked to; never resolves. */
  readonly died: Promise<never>;
  /** Asks it to finish, waits, and kills it when it does not. */
  stop(): Promise<void>;
}

/** Long enough for a restored store to read its log to the end. */
const startMaxMs = 120_000;
const stopMaxMs = 20_000;

const messageSchema = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('ready'),
    address: z.string(),
    healthAddress: z.string(),
    places: z.record(z.string(), z.string()).default({}),
  }),
  z.object({
    type: z.literal('failed'),
    reason: z.string().optional(),
    message: z.string(),
    next: z.string().optional(),
    violations: z.array(z.object({ field: z.string(), description: z.string() })).default([]),
  }),
]);

type ServerMessage = z.infer<typeof messageSchema>;

/**
 * Starts the standalone server as a child that ends by itself when this process dies: it watches the IPC channel.
 * Resolves when it serves; throws what it says when it cannot.
 */
export async function startServer(
  wish: ServerWish,
  surroundings: Surroundings,
  serverMain = findServerMain(),
): Promise<RunningServer> {
  const { terminal, clock, signal } = surroundings;
  signal.throwIfAborted();
  const startedMs = clock.monotonicMs();
  const child = fork(serverMain, [], {
    env: { ...surroundings.childEnvironment, ...settingsOf(wish) },
    // The Kafka client asks timers for moments that are over, which does no harm; Node would tell the reader of it.
    execArgv: [...process.execArgv, '--disable-warning=TimeoutNegativeWarning'],
    // What the server logs goes to stderr; stdout is for results.
    stdio: ['ignore', 2, 2, 'ipc'],
  });
  const lastWords = listenForFailure(child);
  const progress = startProgress(terminal, {
    title: 'Starting the server',
    total: undefined,
    showsCount: false,
  });
  try {
    const ready = await readyMessage(child, signal, clock.sleep.bind(clock));
    progress.finish(`ready after ${formatDuration(clock.monotonicMs() - startedMs)}`);
    return {
      address: ready.address,
      healthAddress: ready.healthAddress,
      places: Object.values(ready.places),
      died: unexpectedEnd(child, lastWords),
      stop: async () => await stopChild(child, clock.sleep.bind(clock)),
    };
  } catch (error) {
    progress.abandon();
    await stopChild(child, clock.sleep.bind(clock));
    throw error;
  }
}

/** Only a full installation has the server; the client is a package of its own. */
export function findServerMain(entry: 'main' | 'repair-main' = 'main'): string {
  const problem = (cause?: unknown) =>
    new CliError(
      exitCodes.usage,
      'Only the client is installed here, not the server (@lethe/standalone).',
      {
        next: 'Start a server where Lethe is installed as a whole, and name it with --server HOST:PORT.',
        cause,
      },
    );
  let file: string;
  try {
    file = fileURLToPath(import.meta.resolve(`@lethe/standalone/${entry}.ts`));
  } catch (error) {
    throw problem(error);
  }
  if (!existsSync(file)) throw problem();
  return file;
}

/** The server's settings by what says them on the command line. */
const variables = {
  data: 'LETHE_DATA',
  port: 'LETHE_PORT',
  healthPort: 'LETHE_HEALTH_PORT',
  kafka: 'LETHE_KAFKA_BROKERS',
  postgres: 'LETHE_POSTGRES_URL',
  vault: 'LETHE_KEYS_VAULT_ADDRESS',
  clickhouse: 'LETHE_CLICKHOUSE_URL',
  telemetry: 'LETHE_TELEMETRY_ENDPOINT',
} as const satisfies Record<keyof ServerWish, string>;

function settingsOf(wish: ServerWish): Record<string, string> {
  const given = Object.entries(variables).flatMap(([option, variable]) => {
    const value = wish[option as keyof ServerWish];
    return value === undefined ? [] : [[variable, String(value)] as const];
  });
  return {
    ...Object.fromEntries(given),
    ...(wish.vault === undefined ? {} : { LETHE_KEYS_KMS: 'vault' }),
  };
}

/** `LETHE_KAFKA_BROKERS` is `--kafka` to who wrote that. */
function asWritten(variable: string): string {
  const option = Object.entries(variables).find(([, name]) => name === variable)?.[0];
  if (option === undefined) return variable;
  return `--${option.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

type Sleep = Surroundings['clock']['sleep'];

async function readyMessage(
  child: ChildProcess,
  signal: AbortSignal,
  sleep: Sleep,
): Promise<Extract<ServerMessage, { type: 'ready' }>> {
  const waiting = new AbortController();
  const message = await Promise.race([
    firstMessage(child, signal),
    timeOut(sleep, waiting.signal),
  ]).finally(() => waiting.abort());
  if (message.type === 'ready') return message;
  throw failure(message);
}

function failure(message: Extract<ServerMessage, { type: 'failed' }>): CliError {
  const { message: what, reason, next, violations } = message;
  const brokenRules = violations.map(({ field, description }) => ({
    field: asWritten(field),
    rule: description,
  }));
  if (reason === 'CONFIG_INVALID' && brokenRules.length > 0) {
    return new CliError(exitCodes.usage, 'The server cannot start with these settings.', {
      brokenRules,
      reason,
      next: 'Correct them; `lethe up --help` and docs/operators say what each means.',
    });
  }
  return new CliError(exitCodes.failed, what, {
    brokenRules,
    ...(reason === undefined ? {} : { reason }),
    ...(next === undefined ? {} : { next }),
  });
}

async function firstMessage(child: ChildProcess, signal: AbortSignal): Promise<ServerMessage> {
  return await new Promise((resolve, reject) => {
    child.on('message', (raw) => {
      const parsed = messageSchema.safeParse(raw);
      if (parsed.success) resolve(parsed.data);
    });
    child.once('error', reject);
    child.once('exit', (code, signalName) =>
      reject(endedError(code, signalName, 'before it was ready')),
    );
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

async function timeOut(sleep: Sleep, signal: AbortSignal): Promise<never> {
  await sleep(startMaxMs, signal);
  throw new CliError(
    exitCodes.failed,
    `The server is not ready after ${formatDuration(startMaxMs)}.`,
    {
      next: 'Look at what it says with LETHE_LOG_LEVEL=info.',
    },
  );
}

function endedError(code: number | null, signalName: string | null, when: string): CliError {
  const how = signalName === null ? `with status ${code}` : `by ${signalName}`;
  return new CliError(exitCodes.failed, `The server ended ${how} ${when}.`, {
    next: 'Start it again (after an update of the sources run `npm ci` first): it goes on with what it had committed. LETHE_LOG_LEVEL=info says more.',
  });
}

/** From its first moment: what it says must not be missed between two listeners. */
function listenForFailure(child: ChildProcess): () => CliError | undefined {
  let lastWords: CliError | undefined;
  child.on('message', (raw) => {
    const parsed = messageSchema.safeParse(raw);
    if (parsed.data?.type === 'failed') lastWords = failure(parsed.data);
  });
  return () => lastWords;
}

function unexpectedEnd(child: ChildProcess, lastWords: () => CliError | undefined): Promise<never> {
  const died = new Promise<never>((_, reject) => {
    child.once('exit', (code, signalName) =>
      reject(lastWords() ?? endedError(code, signalName, 'while it was serving')),
    );
  });
  // Nobody may be waiting when it ends in the usual way.
  died.catch(() => undefined);
  return died;
}

async function stopChild(child: ChildProcess, sleep: Sleep): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGTERM');
  const waiting = new AbortController();
  const isStuck = sleep(stopMaxMs, waiting.signal).then(
    () => child.kill('SIGKILL'),
    () => undefined,
  );
  await ended;
  waiting.abort();
  await isStuck;
}
