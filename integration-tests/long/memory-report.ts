import { formatCount, formatDuration } from '@lethe/cli/output/numbers.ts';
import type { MemoryRun } from './memory-run.ts';
import type { Verdict } from './memory-verdict.ts';
import type { ServerSample } from './server-memory.ts';

const columns: readonly (readonly [title: string, value: (sample: ServerSample) => string])[] = [
  ['minute', ({ atS }) => (atS / 60).toFixed(1)],
  ['records on the log', ({ records }) => formatCount(records)],
  ['RSS', ({ rss }) => mib(rss)],
  ['without file pages', ({ rssAnon }) => mib(rssAnon)],
  ['heap after a full collection', ({ heapLive }) => mib(heapLive)],
  ['heap taken', ({ heapTotal }) => mib(heapTotal)],
  ['external', ({ external }) => mib(external)],
  ['array buffers', ({ arrayBuffers }) => mib(arrayBuffers)],
  ['of it PGlite (WASM)', ({ wasm }) => mib(wasm)],
  ['of that in memory', ({ wasmResident }) => mib(wasmResident)],
  ['rest (chdb, SQLite, code)', ({ rest }) => mib(rest)],
  ['PostgreSQL on disk', ({ postgresBytes }) => mib(postgresBytes)],
  ['log on disk', ({ logBytes }) => mib(logBytes)],
  ['ledger on disk', ({ clickHouseBytes }) => mib(clickHouseBytes)],
  ['ledger behind, s', ({ ledgerBehindS }) => ledgerBehindS.toFixed(1)],
];

function mib(bytes: number): string {
  return formatCount(Math.round(bytes / 2 ** 20));
}

/** At most this many rows, evenly chosen, the first and the last among them. */
export function memoryTable(samples: readonly ServerSample[], rowsMax: number): string {
  const step = Math.max(1, (samples.length - 1) / (rowsMax - 1));
  const rows = Array.from({ length: Math.min(rowsMax, samples.length) }, (_, row) => {
    const sample = samples[Math.min(samples.length - 1, Math.round(row * step))];
    return sample === undefined ? [] : columns.map(([, value]) => value(sample));
  });
  const lines = [columns.map(([title]) => title), columns.map(() => '---:'), ...rows];
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

/** The outcome in one line each. */
export function memorySummary(run: MemoryRun, verdict: Verdict): string {
  const rate = (durationMs: number) => formatCount(Math.round((run.events * 1000) / durationMs));
  const { slopeMib, limitMib, samples, isFlat } = verdict;
  return [
    `${formatCount(run.events)} events answered, ${formatCount(run.accepted)} accepted`,
    `acknowledged in ${formatDuration(run.sendMs)}: ${rate(run.sendMs)} events/s`,
    `in the ledger after ${formatDuration(run.inLedgerMs)}: ${rate(run.inLedgerMs)} events/s`,
    `RSS grows by ${slopeMib.toFixed(2)} MiB for 100,000 records over the second half (${samples} samples; limit ${limitMib}): ${isFlat ? 'flat' : 'NOT flat'}`,
  ].join('\n');
}
