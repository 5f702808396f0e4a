import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Grain } from '@lethe/proto/gen/lethe/analytics/v1/service.ts';
import { mintOf } from '../harness/access-tokens.ts';
import { openApi, type Api } from '../harness/api.ts';
import { figuresComplete, queryMetric } from '../harness/figures.ts';
import { recordsOnLog } from '../harness/killed-tour.ts';
import { jsonLine, type LetheResult, startLethe } from '../harness/lethe.ts';
import type { ProcessKeeper } from '../harness/processes.ts';
import { startServer } from '../harness/server.ts';
import {
  probedEnv,
  readProbe,
  type ServerSample,
  takeSample,
  takeSnapshot,
} from './server-memory.ts';

/** Two cores that are shared with other work keep it up. */
export const steadyEventsPerSecond = 450;

export interface MemoryRunOptions {
  readonly seed: string;
  readonly events: number;
  readonly tenants: number;
  /** Sent at most in a second: steady, so that what grows with the rate is not taken for what grows with the events. */
  readonly eventsPerSecond: number;
  readonly sampleEveryS: number;
  /** Empty; keeps the data folder and the logs. */
  readonly folder: string;
  readonly onSample: (sample: ServerSample) => void;
  /** Given a heap snapshot of the end, when nothing is measured any more; the file goes with the folder. */
  readonly onSnapshot?: (file: string) => void;
}

export interface MemoryRun {
  readonly samples: readonly ServerSample[];
  /** Events that the server answered. */
  readonly events: number;
  readonly accepted: number;
  /** On the log at the end; a ticket's milestones are records too. */
  readonly records: number;
  /** From the first registration to the last acknowledgement. */
  readonly sendMs: number;
  /** Until all of it was in the ledger as well. */
  readonly inLedgerMs: number;
}

interface Loaded {
  readonly tally: { readonly counts: Readonly<Record<string, number>> };
  readonly tookMs: number;
}

/**
 * Starts a server of its own, sends a generated help desk with `lethe generate --send` and looks at the server's memory
 * every now and then, until the ledger has everything. The generator and the client run in a process of their own.
 */
export async function runForMemory(
  keeper: ProcessKeeper,
  options: MemoryRunOptions,
): Promise<MemoryRun> {
  const { folder, seed, events, tenants, eventsPerSecond } = options;
  const dataFolder = join(folder, 'data');
  const probeFile = join(folder, 'probe.json');
  const env = { ...probedEnv(probeFile), LETHE_LOG_LEVEL: 'warn' };
  const server = await startServer(keeper, {
    dataFolder,
    logFile: join(folder, 'server.log'),
    env,
  });
  const startedMs = Date.now();
  const sending = startLethe(keeper, [
    'generate',
    '--send',
    '--json',
    `--data=${dataFolder}`,
    `--seed=${seed}`,
    `--events=${events}`,
    `--tenants=${tenants}`,
    `--rate=${eventsPerSecond}`,
    '--days=365',
    '--anchor=2026-01-01',
  ]);
  const api = openApi(server.address);
  const samples: ServerSample[] = [];
  const ended: LetheResult[] = [];
  const isSent = sending.result.then((result) => ended.push(result));
  while (ended.length === 0) {
    await Promise.race([isSent, delay(options.sampleEveryS * 1000)]);
    const probed = readProbe(probeFile);
    if (probed === undefined) continue;
    const behindS = await ledgerBehindS(api, dataFolder);
    const sample = takeSample(probed, dataFolder, startedMs, behindS);
    samples.push(sample);
    options.onSample(sample);
  }
  const sent = await sending.result;
  if (sent.exitCode !== 0) throw new Error(`the send ended with ${sent.exitCode}: ${sent.stderr}`);
  await figuresComplete(api, tokenOf(dataFolder), Grain.GRAIN_TOTAL);
  const inLedgerMs = Date.now() - startedMs;
  const records = recordsOnLog(dataFolder);
  if (options.onSnapshot !== undefined) options.onSnapshot(await takeSnapshot(probeFile));
  api.close();
  await server.stop();
  const { tally, tookMs } = jsonLine<Loaded>(sent);
  const answered = Object.values(tally.counts).reduce((sum, count) => sum + count, 0);
  const accepted = tally.counts['accepted'] ?? 0;
  return { samples, events: answered, accepted, records, sendMs: tookMs, inLedgerMs };
}

/** A tenant that need not have events: how far the ledger is complete is the same for all. */
function tokenOf(dataFolder: string): string {
  return mintOf(dataFolder).mint({ tenant: 'memory-run', roles: ['reader'] });
}

async function ledgerBehindS(api: Api, dataFolder: string): Promise<number> {
  const askedMs = Date.now();
  const wish = { metricId: 'created', grain: Grain.GRAIN_TOTAL };
  const { completeUpTo } = await queryMetric(api, tokenOf(dataFolder), wish);
  return completeUpTo === undefined ? 0 : Math.max(0, (askedMs - completeUpTo.getTime()) / 1000);
}
