import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { freePort } from './free-port.ts';

const script = fileURLToPath(new URL('./kafka.sh', import.meta.url));
const imageScript = fileURLToPath(new URL('./kafka-image.sh', import.meta.url));
const run = promisify(execFile);

/** Fetches the jars unless they are there; answers why no broker can be started here, or undefined. */
export function whyNoKafka(): string | undefined {
  try {
    execFileSync('java', ['-version'], { stdio: 'ignore' });
  } catch {
    return 'no Java (apt-get install openjdk-17-jre-headless)';
  }
  try {
    execFileSync(script, ['fetch'], { stdio: ['ignore', 'ignore', 'pipe'] });
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : 'the jars cannot be fetched';
  }
}

/** The folder that an image with a broker is built from, made on its first use in 15 s; or why it cannot be made. */
export function prepareKafkaImage(): { readonly folder: string } | { readonly reason: string } {
  try {
    const folder = execFileSync(imageScript, {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    return { folder: folder.trim() };
  } catch (error) {
    return { reason: error instanceof Error ? error.message : 'the image cannot be prepared' };
  }
}

/** A broker of its own, in a folder that goes with it. */
export interface LocalBroker {
  readonly folder: string;
  readonly version: string;
  readonly address: string;
  readonly pid: number;
  /** Like a power cut for the process; data stays. */
  kill(): Promise<void>;
  /** After `kill`: on the same port, with the same data. */
  startAgain(): Promise<void>;
  /** Ends it and removes its data. */
  remove(): Promise<void>;
}

/** Starts a broker. `extraFile` is appended to its properties; `formatWords` go to the formatting of its folder. */
export async function startLocalBroker(
  extraFile?: string,
  formatWords?: string,
): Promise<LocalBroker> {
  return await startBroker([
    ...(extraFile === undefined ? [] : [`LETHE_KAFKA_EXTRA=${extraFile}`]),
    ...(formatWords === undefined ? [] : [`LETHE_KAFKA_FORMAT=${formatWords}`]),
  ]);
}

/** Several brokers of one cluster, each a controller too. */
export interface LocalBrokers {
  readonly brokers: readonly LocalBroker[];
  /** Addresses of all of them, separated by commas. */
  readonly address: string;
  /** Ends them and removes their data. */
  remove(): Promise<void>;
}

/** Starts brokers that know each other; they acknowledge by a majority of replicas. */
export async function startLocalBrokers(count: number): Promise<LocalBrokers> {
  const ports: number[] = [];
  for (let node = 1; node <= count; node += 1) ports.push(await freePort());
  const voters = ports.map((port, at) => `${at + 1}@127.0.0.1:${port + 1}`).join(',');
  const starting = ports.map((port, at) =>
    startBroker([
      `LETHE_KAFKA_NODE=${at + 1}`,
      `LETHE_KAFKA_PORT=${port}`,
      `LETHE_KAFKA_VOTERS=${voters}`,
    ]),
  );
  // All of them first: one that is still starting when another fails is to be ended too.
  const started = await Promise.allSettled(starting);
  const brokers = started.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  const remove = async (): Promise<void> => {
    await Promise.all(brokers.map((broker) => broker.remove()));
  };
  const failed = started.find((each) => each.status === 'rejected');
  if (failed !== undefined) {
    await remove();
    throw failed.reason;
  }
  return { brokers, address: brokers.map((broker) => broker.address).join(','), remove };
}

async function startBroker(settings: readonly string[]): Promise<LocalBroker> {
  const folder = mkdtempSync(join(tmpdir(), 'lethe-kafka-'));
  const call = async (command: string): Promise<Map<string, string>> => {
    const { stdout } = await run('env', [...settings, script, command, folder]);
    const lines = stdout.split('\n').map((line) => line.split(' '));
    return new Map(lines.map(([name = '', value = '']) => [name, value]));
  };
  const remove = async (): Promise<void> => {
    await call('kill');
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const said = await call('start');
    return {
      folder,
      version: said.get('version') ?? 'unknown',
      address: said.get('address') ?? '',
      pid: Number(said.get('pid')),
      kill: async () => {
        await call('kill');
      },
      startAgain: async () => {
        await call('start');
      },
      remove,
    };
  } catch (error) {
    await remove();
    throw error;
  }
}
