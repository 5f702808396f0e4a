import { type ChildProcess, fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, loadavg, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { whyNoKafka } from '../../deploy/local/kafka.ts';
import { findPostgresBinaries } from '../../deploy/local/postgres.ts';
import { vaultBinary } from '../contracts/vault-binary.ts';
import type { Figure, Machine, Report } from './figure.ts';
import type { MeasuredMessage } from './measure.ts';
import { type Measurement, measurements } from './measurements.ts';
import { writePages, writeReport } from './pages.ts';
import { type BenchSystems, startBenchSystems } from './real-systems.ts';
import { renderJson, renderTable } from './render.ts';

/**
 * `npm run bench -- [--real] [--only NAME,NAME] [--json] [--write]`: the figures of docs/bench.md on the embedded stores
 * or, with `--real`, on Kafka, PostgreSQL, ClickHouse over HTTP and Vault as processes on loopback. `--write` keeps the
 * run (docs/bench/) and rewrites the tables of README.md and docs/bench.md.
 */

/** The whole run ends before this, whatever hangs: what is left then is not measured. */
const runForMs = { embedded: 380_000, real: 900_000 } as const;

function machineNow(): Omit<Machine, 'loadAfter' | 'systems'> {
  return {
    cpuModel: cpus()[0]?.model ?? 'unknown processor',
    cores: cpus().length,
    memoryGib: totalmem() / 2 ** 30,
    node: process.versions.node,
    loadBefore: loadavg()[0] ?? 0,
    startedAt: new Date().toISOString(),
  };
}

/** The figures that are wanted; throws for a name that does not exist. */
function wantedNames(only: string | undefined, isReal: boolean): ReadonlySet<string> {
  const measurable = measurements.filter(({ isRealOnly, isEmbeddedOnly }) =>
    isReal ? isEmbeddedOnly !== true : isRealOnly !== true,
  );
  const known = new Set(measurable.flatMap(({ figures }) => figures));
  const wanted = new Set(only?.split(',').map((name) => name.trim()) ?? known);
  const unknown = [...wanted].filter((name) => !known.has(name));
  if (unknown.length === 0) return wanted;
  throw new RangeError(`no figure ${unknown.join(', ')}; there are ${[...known].join(', ')}`);
}

/** The Vault to run; throws with what is missing to measure on real systems. */
async function requireSystems(): Promise<string> {
  const binary = await vaultBinary(false);
  const missing = [
    ...(binary === undefined ? ['Vault (npm run build:vault, or LETHE_TOOLS)'] : []),
    ...(findPostgresBinaries() === undefined ? ['PostgreSQL (apt-get install postgresql)'] : []),
    ...[whyNoKafka() ?? []].flat().map((why) => `Kafka: ${why}`),
  ];
  if (binary === undefined || missing.length > 0) {
    throw new Error(`--real needs ${missing.join('; ')}`);
  }
  return binary;
}

/**
 * On a machine that others use too a measurement gets as many times its time as processes wait for a core, at most six
 * times; what it then says of the wall clock says more about the others, but ratios and CPU time stay.
 */
function patience(): number {
  return Math.min(6, Math.max(1, (loadavg()[0] ?? 0) / cpus().length));
}

/** Runs one measurement in a process of its own, whose files all lie in `folder`; answers how it ended. */
async function runMeasurement(
  measurement: Measurement,
  names: readonly string[],
  running: Running,
  tell: (figure: Figure) => void,
): Promise<string> {
  const limitMs = Math.min(measurement.limitMs * patience(), running.untilMs - performance.now());
  if (limitMs <= 0) return 'the time of the whole run was over';
  const systems = await startNeeded(measurement, running);
  const places = systems === undefined ? [] : [JSON.stringify(systems.places)];
  const args = [String(measurements.indexOf(measurement)), names.join(','), ...places];
  const child = fork(join(import.meta.dirname, 'measure.ts'), args, {
    env: { ...process.env, TMPDIR: running.folder },
    execArgv: [...process.execArgv, '--disable-warning=TimeoutNegativeWarning'],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  running.children.add(child);
  const timer = setTimeout(() => child.kill('SIGKILL'), limitMs);
  child.on('message', (message: MeasuredMessage | { readonly ended: true }) => {
    if ('figure' in message) tell(message.figure);
  });
  const ended = await new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code, signal) => resolve(`ended with ${code ?? signal}`));
  });
  clearTimeout(timer);
  running.children.delete(child);
  await systems?.end();
  return `${ended}; its limit was ${Math.round(limitMs / 1_000)} s`;
}

/** New systems for each measurement: no earlier one has left anything on them. */
async function startNeeded(
  { needs }: Measurement,
  running: Running,
): Promise<BenchSystems | undefined> {
  if (running.vaultBinary === undefined) return undefined;
  const systems = await startBenchSystems(needs, running.vaultBinary);
  running.systems = systems;
  Object.assign(running.versions, systems.versions);
  return systems;
}

interface Running {
  readonly folder: string;
  /** By the monotonic clock. */
  readonly untilMs: number;
  readonly children: Set<ChildProcess>;
  /** Undefined: on the embedded stores. */
  readonly vaultBinary: string | undefined;
  /** Those that run now. */
  systems: BenchSystems | undefined;
  readonly versions: Record<string, string>;
}

async function runAll(wanted: ReadonlySet<string>, running: Running) {
  const figures: Figure[] = [];
  const failures: Report['failures'][number][] = [];
  for (const measurement of measurements) {
    const names = measurement.figures.filter((name) => wanted.has(name));
    if (names.length === 0) continue;
    process.stderr.write(`measuring ${names.join(', ')} …\n`);
    const told = new Map<string, Figure>();
    const reason = await runMeasurement(measurement, names, running, (figure) => {
      told.set(figure.name, figure);
    });
    figures.push(...names.flatMap((name) => told.get(name) ?? []));
    const missing = names.filter((name) => !told.has(name));
    if (missing.length > 0) failures.push({ names: missing, reason });
  }
  return { figures, failures };
}

const flag = { type: 'boolean', default: false } as const;
const { values } = parseArgs({
  options: { only: { type: 'string' }, json: flag, real: flag, write: flag },
});
const kind = values.real ? 'real' : 'embedded';
const wanted = wantedNames(values.only, values.real);
if (values.write && values.only !== undefined) throw new RangeError('--write keeps a whole run');
const binary = values.real ? await requireSystems() : undefined;
const machine = machineNow();
const beganMs = performance.now();
const folder = mkdtempSync(join(tmpdir(), 'lethe-bench-'));
const running: Running = {
  folder,
  untilMs: beganMs + runForMs[kind] * patience(),
  children: new Set(),
  vaultBinary: binary,
  systems: undefined,
  versions: {},
};
const removeFolder = () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    for (const child of running.children) child.kill('SIGKILL');
    const end = async () => {
      await running.systems?.end();
      removeFolder();
      process.exit(130);
    };
    void end();
  });
}
const { figures, failures } = await runAll(wanted, running);
removeFolder();
const report: Report = {
  machine: { ...machine, loadAfter: loadavg()[0] ?? 0, systems: running.versions },
  figures,
  failures,
  tookMs: performance.now() - beganMs,
};
if (values.write) {
  writeReport(kind, report);
  writePages();
}
process.stdout.write(values.json ? renderJson(report) : renderTable(report));
// A figure that falls short is a finding; one that could not be measured is an error.
process.exitCode = failures.length === 0 ? 0 : 1;
