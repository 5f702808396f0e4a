import assert from 'node:assert/strict';
import { join } from 'node:path';
import { jsonLine, jsonLines, type LetheResult, runLethe, startLethe } from '../harness/lethe.ts';
import { createProcessKeeper, type ProcessKeeper } from '../harness/processes.ts';
import { type RunningServer, startServer } from '../harness/server.ts';
import { makeFolder, removeFolder } from '../harness/temporary-folder.ts';

const rebuilt = ['tickets', 'predictions', 'usage', 'ledger'] as const;
const helpDesk = ['--events', '1500', '--tenants', '3', '--days', '30', '--anchor', '2026-06-01'];

interface Report {
  readonly swapped: boolean;
  readonly differences: number;
  readonly tables: readonly { readonly name: string; readonly rebuiltRows: number }[];
  readonly changedMeanwhile: number;
  readonly recordsRead: number;
  readonly streamsFolded: number;
  readonly chunksRefolded: number;
  readonly chunksCopied: number;
  readonly copiedChunks: readonly {
    readonly manifestId: string;
    readonly why: string;
    readonly ranges: readonly { readonly topic: string; readonly erased: number }[];
  }[];
}

interface GeneratedEvent {
  readonly tenant: string;
  readonly event: {
    readonly ticketOpened?: { readonly requester?: { readonly naturalId: string } };
  };
}

interface Status {
  readonly totals: readonly { readonly metric: string; readonly exact: number }[];
  readonly completeUpTo?: string;
}

describe('lethe rebuild', () => {
  let keeper: ProcessKeeper;
  let folder: string;
  let server: RunningServer;

  const lethe = async (...args: readonly string[]): Promise<LetheResult> =>
    runLethe(keeper, [...args, '--data', join(folder, 'data'), '--server', server.address]);

  const start = async (): Promise<RunningServer> =>
    startServer(keeper, { dataFolder: join(folder, 'data'), logFile: join(folder, 'server.log') });

  const rebuild = async (what: string, ...more: readonly string[]): Promise<Report> => {
    const result = await lethe('rebuild', what, '--json', ...more);
    assert.equal(result.exitCode, 0, `${what}: ${result.stdout} ${result.stderr}`);
    return jsonLine<Report>(result);
  };

  const status = async (): Promise<Status> =>
    jsonLine<Status>(await lethe('status', '--json', '--health-server', server.healthAddress));

  /** Once the ledger has everything: the totals do not move any more. */
  async function settledTotals(): Promise<Status['totals']> {
    for (let last = await status(); ;) {
      const next = await status();
      if (JSON.stringify(next.totals) === JSON.stringify(last.totals)) return next.totals;
      last = next;
    }
  }

  before(async function () {
    this.timeout(300_000);
    keeper = createProcessKeeper();
    folder = makeFolder();
    server = await start();
    const sent = await lethe('generate', '--send', ...helpDesk);
    assert.equal(sent.exitCode, 0, sent.stderr);
  });

  after(async function () {
    this.timeout(30_000);
    await keeper.stopAll();
    removeFolder(folder);
  });

  it('equals the live tables and the ledger row for row, and changes no total', async function () {
    this.timeout(240_000);
    const totals = await settledTotals();
    assert.ok(totals.some(({ exact }) => exact > 100));
    for (const what of rebuilt) {
      const report = await rebuild(what);
      assert.deepEqual([report.differences, report.swapped], [0, true], what);
      // All of it came from the log.
      assert.deepEqual([report.changedMeanwhile, report.chunksCopied], [0, 0], what);
      assert.ok(report.recordsRead > 100 && report.tables.some((table) => table.rebuiltRows > 100));
    }
    assert.deepEqual(await settledTotals(), totals);
  });

  it('after the erasure of one in a hundred persons totals are equal, and the copied chunks are named', async function () {
    this.timeout(240_000);
    const totals = await settledTotals();
    const persons = requestersOf(await runLethe(keeper, ['generate', ...helpDesk]));
    const erased = persons.filter((_, index) => index % 100 === 0);
    assert.ok(erased.length >= 1);
    for (const { tenant, naturalId } of erased) {
      const who = ['--tenant', tenant, '--person', naturalId, '--ground', 'objection'];
      const result = await lethe('erase', ...who, '--yes', '--watch');
      assert.equal(result.exitCode, 0, result.stderr);
    }
    for (const what of ['tickets', 'predictions', 'usage']) {
      const report = await rebuild(what);
      assert.deepEqual([report.differences, report.swapped], [0, true], what);
    }
    const report = await rebuild('ledger');
    assert.deepEqual([report.differences, report.swapped], [0, true]);
    assert.ok(report.chunksCopied > 0);
    assert.equal(report.copiedChunks.length, report.chunksCopied);
    for (const { manifestId, why, ranges } of report.copiedChunks) {
      assert.match(manifestId, /^[0-9a-f-]{36}$/);
      assert.equal(why, 'erased');
      assert.ok(ranges.some(({ erased: gone }) => gone > 0));
    }
    assert.deepEqual(await settledTotals(), totals);
  });

  it('leaves everything as it was when the server is killed in the middle', async function () {
    this.timeout(240_000);
    const totals = await settledTotals();
    for (const what of ['tickets', 'ledger']) {
      const where = ['--data', join(folder, 'data'), '--server', server.address];
      const running = startLethe(keeper, ['rebuild', what, ...where]);
      while (running.stderr() === '') await new Promise((resolve) => setImmediate(resolve));
      await server.killNine();
      assert.notEqual((await running.result).exitCode, 0);
      server = await start();
    }
    for (const what of rebuilt) assert.equal((await rebuild(what, '--check')).differences, 0, what);
    assert.deepEqual(await settledTotals(), totals);
  });
});

/** Tenants and ids of everybody who opened a ticket, each once. */
function requestersOf(generated: LetheResult) {
  const found = new Map<string, { readonly tenant: string; readonly naturalId: string }>();
  for (const { tenant, event } of jsonLines<GeneratedEvent>(generated)) {
    const naturalId = event.ticketOpened?.requester?.naturalId;
    if (naturalId !== undefined) found.set(`${tenant}/${naturalId}`, { tenant, naturalId });
  }
  return [...found.values()];
}
