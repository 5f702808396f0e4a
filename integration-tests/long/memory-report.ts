import { formatCount, formatDuration, formatRate } from '@lethe/cli/output/numbers.ts';
import { quantile } from '../bench/pairs.ts';
import type { MemoryRun } from './memory-run.ts';
import type { Verdict } from './memory-verdict.ts';
import type { ServerSample } from './server-memory.ts';

type Cell = (sample: ServerSample, before: ServerSample | undefined) => string;

const columns: readonly (readonly [title: string, value: Cell])[] = [
  ['minute', ({ atS }) => (atS / 60).toFixed(1)],
  ['records on the log', ({ records }) => formatCount(records)],
  ['records/s since the row above', recordRate],
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

function recordRate({ atS, records }: ServerSample, before: ServerSample | undefined): string {
  if (before === undefined || atS === before.atS) return '';
  return formatCount(Math.round((records - before.records) / (atS - before.atS)));
}

function mib(bytes: number): string {
  return formatCount(Math.round(bytes / 2 ** 20));
}

/** At most this many rows, evenly chosen, the first and the last among them. */
export function memoryTable(samples: readonly ServerSample[], rowsMax: number): string {
  const step = Math.max(1, (samples.length - 1) / (rowsMax - 1));
  const chosen = Array.from({ length: Math.min(rowsMax, samples.length) }, (_, row) => {
    const sample = samples[Math.min(samples.length - 1, Math.round(row * step))];
    return sample ?? [];
  }).flat();
  const rows = chosen.map((sample, row) =>
    columns.map(([, cell]) => cell(sample, chosen[row - 1])),
  );
  const lines = [columns.map(([title]) => title), columns.map(() => '---:'), ...rows];
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

/** The outcome and the rates, a line each. */
export function memorySummary(run: MemoryRun, verdict: Verdict): string {
  const { events, accepted, records, sendMs, inLedgerMs, samples } = run;
  const { slopeMib, limitMib, isFlat } = verdict;
  return [
    `${formatCount(events)} events answered, ${formatCount(accepted)} accepted`,
    `appends: acknowledged in ${formatDuration(sendMs)}, ${formatRate(events, sendMs)}`,
    `log: ${formatCount(records)} records, ${formatRate(records, sendMs)}`,
    `projection: all in the ledger after ${formatDuration(inLedgerMs)}, ${formatRate(records, inLedgerMs)}`,
    `freshness: the ledger was behind by ${behindText(samples)}`,
    `RSS grows by ${slopeMib.toFixed(2)} MiB for 100,000 records over the second half (${verdict.samples} samples; limit ${limitMib}): ${isFlat ? 'flat' : 'NOT flat'}`,
  ].join('\n');
}

function behindText(samples: readonly ServerSample[]): string {
  const behindS = samples.map(({ ledgerBehindS }) => ledgerBehindS);
  const parts = [0.5, 0.99, 1].map((share) => `${quantile(behindS, share).toFixed(1)} s`);
  return `${parts[0]} (median), ${parts[1]} (p99), ${parts[2]} (most) at ${behindS.length} looks`;
}
