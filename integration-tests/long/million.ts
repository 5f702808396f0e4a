import {
  appendFileSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { formatCount } from '@lethe/cli/output/numbers.ts';
import { createProcessKeeper } from '../harness/processes.ts';
import { memorySummary, memoryTable } from './memory-report.ts';
import { runForMemory, steadyEventsPerSecond } from './memory-run.ts';
import { judge } from './memory-verdict.ts';

/** `node integration-tests/long/million.ts [--events N] [--tenants N] [--rate N] [--seed S] [--every SECONDS] [--out DIR] [--snapshot]` */

const { values } = parseArgs({
  options: {
    events: { type: 'string', default: '1000000' },
    tenants: { type: 'string', default: '50' },
    rate: { type: 'string', default: String(steadyEventsPerSecond) },
    seed: { type: 'string', default: 'million' },
    every: { type: 'string', default: '10' },
    out: { type: 'string' },
    snapshot: { type: 'boolean', default: false },
  },
});

const rowsMax = 40;
const keeper = createProcessKeeper();
const folder = mkdtempSync(join(tmpdir(), 'lethe-million-'));
const out = values.out ?? folder;
mkdirSync(out, { recursive: true });
const keepSnapshot = (file: string) => copyFileSync(file, join(out, 'end.heapsnapshot'));
console.log(
  `seed ${values.seed}, ${values.events} events, ${values.tenants} tenants, ${values.rate} events/s; ${folder}`,
);
try {
  const run = await runForMemory(keeper, {
    seed: values.seed,
    events: Number(values.events),
    tenants: Number(values.tenants),
    eventsPerSecond: Number(values.rate),
    sampleEveryS: Number(values.every),
    folder,
    ...(values.snapshot && { onSnapshot: keepSnapshot }),
    onSample: (sample) => {
      appendFileSync(join(out, 'samples.jsonl'), `${JSON.stringify(sample)}\n`);
      const { atS, records, rss, heapLive, wasm, ledgerBehindS } = sample;
      const sizes = [rss, heapLive, wasm].map((bytes) => formatCount(Math.round(bytes / 2 ** 20)));
      console.log(
        `${atS} s: ${formatCount(records)} records; MiB: rss ${sizes[0]}, heap ${sizes[1]}, wasm ${sizes[2]}; ledger ${ledgerBehindS.toFixed(1)} s behind`,
      );
    },
  });
  const verdict = judge(run.samples);
  const report = `${memorySummary(run, verdict)}\n\n${memoryTable(run.samples, rowsMax)}\n`;
  writeFileSync(join(out, 'samples.json'), `${JSON.stringify(run)}\n`);
  writeFileSync(join(out, 'report.md'), report);
  console.log(report);
  process.exitCode = verdict.isFlat ? 0 : 1;
} finally {
  await keeper.stopAll();
  if (out !== folder) rmSync(folder, { recursive: true, force: true });
}
