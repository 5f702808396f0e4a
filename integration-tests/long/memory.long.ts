import assert from 'node:assert/strict';
import { createProcessKeeper } from '../harness/processes.ts';
import { makeFolder, removeFolder } from '../harness/temporary-folder.ts';
import { memorySummary, memoryTable } from './memory-report.ts';
import { runForMemory, steadyEventsPerSecond } from './memory-run.ts';
import { judge } from './memory-verdict.ts';

/** `million.ts` is the same with a table at the end for docs/operators/memory.md. */
describe('memory over a million events', function () {
  this.timeout(4 * 60 * 60 * 1000);
  const keeper = createProcessKeeper();
  const folder = makeFolder();
  after(async () => {
    await keeper.stopAll();
    removeFolder(folder);
  });

  it('is flat after warm-up', async () => {
    const run = await runForMemory(keeper, {
      seed: 'million',
      events: Number(process.env['LETHE_MEMORY_EVENTS'] ?? 1_000_000),
      tenants: 50,
      eventsPerSecond: steadyEventsPerSecond,
      sampleEveryS: 10,
      folder,
      onSample: () => undefined,
    });
    const verdict = judge(run.samples);
    console.log(`${memorySummary(run, verdict)}\n\n${memoryTable(run.samples, 20)}`);
    assert.ok(verdict.isFlat, `${verdict.slopeMib} MiB for 100,000 records`);
  });
});
