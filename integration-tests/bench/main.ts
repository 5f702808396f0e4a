import { type ChildProcess, fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, loadavg, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Figure, Machine, Report } from './figure.ts';
import type { MeasuredMessage } from './measure.ts';
import { type Measurement, measurements } from './measurements.ts';
import { renderJson, renderTable } from './render.ts';

/** `npm run bench -- [--only NAME,NAME] [--json]`: the figures of design.md, 9, on the embedded stores. */

/** The whole run ends before this, whatever hangs: what is left then is not measured. */
const runForMs = 350_000;

function machineNow(): Machine {
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
function wantedNames(only: string | undefined): ReadonlySet<string> {
  const known = new Set(measurements.flatMap(({ figures }) => figures));
  const wanted = new Set(only?.split(',').map((name) => name.trim()) ?? known);
  const unknown = [...wanted].filter((name) => !known.has(name));
  if (unknown.length === 0) return wanted;
  throw new RangeError(`no figure ${unknown.join(', ')}; there are ${[...known].join(', ')}`);
}

/** Runs one measurement in a process of its own, whose files all lie in `folder`; answers how it ended. */
async function runMeasurement(
  measurement: Measurement,
  names: readonly string[],
  running: Running,
  tell: (figure: Figure) => void,
): Promise<string> {
  const limitMs = Math.min(measurement.limitMs, running.untilMs - performance.now());
  if (limitMs <= 0) return 'the time of the whole run was over';
  const args = [String(measurements.indexOf(measurement)), names.join(',')];
  const child = fork(join(import.meta.dirname, 'measure.ts'), args, {
    env: { ...process.env, TMPDIR: running.folder },
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
  return `${ended}; its limit was ${Math.round(limitMs / 1_000)} s`;
}

interface Running {
  readonly folder: string;
  /** By the monotonic clock. */
  readonly untilMs: number;
  readonly children: Set<ChildProcess>;
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

const { values } = parseArgs({
  options: { only: { type: 'string' }, json: { type: 'boolean', default: false } },
});
const wanted = wantedNames(values.only);
const machine = machineNow();
const beganMs = performance.now();
const folder = mkdtempSync(join(tmpdir(), 'lethe-bench-'));
const running: Running = { folder, untilMs: beganMs + runForMs, children: new Set() };
const removeFolder = () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    for (const child of running.children) child.kill('SIGKILL');
    removeFolder();
    process.exit(130);
  });
}
const { figures, failures } = await runAll(wanted, running);
removeFolder();
const report: Report = { machine, figures, failures, tookMs: performance.now() - beganMs };
process.stdout.write(values.json ? renderJson(report) : renderTable(report));
// A figure that falls short is a finding; one that could not be measured is an error.
process.exitCode = failures.length === 0 ? 0 : 1;
