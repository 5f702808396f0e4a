import assert from 'node:assert/strict';
import { type ServerWritableStream, status } from '@grpc/grpc-js';
import {
  AnalyticsRebuildServiceService,
  RebuildPhase,
  RebuildReport,
  type RebuildRequest,
  RebuildResponse,
  TicketsRebuildServiceService,
} from '@lethe/proto/gen/lethe/rebuild/v1/service.ts';
import { runCaptured } from '../testing/captured.ts';
import { failure, type FakeServer, startFakeServer } from '../testing/fake-server.ts';

function reported(report: RebuildReport): RebuildResponse {
  return { step: { $case: 'report', value: report } };
}

const table = { name: 'streams', liveRows: 155n, rebuiltRows: 155n, differingRows: 0n };
const range = {
  topic: 'tickets.v1',
  partition: 3,
  firstSequence: 1n,
  lastSequence: 40n,
  erased: 2n,
};
const empty = RebuildReport.fromPartial({});
const equal = reported({ ...empty, swapped: true, tables: [table], recordsRead: 2805n });
const differing = reported({
  ...empty,
  tables: [{ ...table, differingRows: 1n }],
  differences: 1n,
  firstDifferences: [
    { table: 'streams', row: 'acme/aa/1', kind: 'differs', columns: ['position'] },
  ],
});
const copied = reported({
  ...empty,
  swapped: true,
  chunksRefolded: 8n,
  chunksCopied: 1n,
  copiedChunks: [
    { manifestId: '0198c1de-5f00-7abc-8def-0000000000aa', why: 'erased', ranges: [range] },
  ],
});

describe('lethe rebuild', () => {
  let server: FakeServer;
  let requests: RebuildRequest[];
  let answer: RebuildResponse | undefined;

  beforeEach(async () => {
    requests = [];
    answer = equal;
    const rebuild = (call: ServerWritableStream<RebuildRequest, RebuildResponse>) => {
      requests.push(call.request);
      if (answer === undefined) {
        const message = 'A rebuild of tickets is running.';
        const code = status.FAILED_PRECONDITION;
        call.emit('error', failure({ code, message, reason: 'REBUILD_RUNNING' }));
        return;
      }
      const phase = RebuildPhase.REBUILD_PHASE_READ;
      const value = { phase, done: 10n, total: 10n };
      call.write(RebuildResponse.fromPartial({ step: { $case: 'progress', value } }));
      call.write(answer);
      call.end();
    };
    server = await startFakeServer([
      [TicketsRebuildServiceService, { rebuild }],
      [AnalyticsRebuildServiceService, { rebuild }],
    ]);
  });
  afterEach(() => server.stop());

  const run = async (...args: readonly string[]) =>
    runCaptured(['rebuild', ...args, '--server', server.address, '--token', 't']);

  it('swaps by default and says that all is equal', async () => {
    const { exitCode, out, err } = await run('tickets');
    assert.equal(exitCode, 0);
    assert.deepEqual(requests, [{ checkOnly: false, acceptDifferences: false }]);
    assert.match(out, /streams +155 +155 +0/);
    assert.match(out, /equal row for row, and swapped/);
    assert.match(err, /Read the log 100 %/);
  });

  it('ends with 1 when rows differ and nothing was swapped, and names them', async () => {
    answer = differing;
    const { exitCode, out } = await run('tickets', '--check');
    assert.equal(exitCode, 1);
    assert.deepEqual(requests, [{ checkOnly: true, acceptDifferences: false }]);
    assert.match(out, /acme\/aa\/1 +differs: position/);
    assert.match(out, /Nothing was changed/);
  });

  it('names the chunks that were copied, and why', async () => {
    answer = copied;
    const { exitCode, out } = await run('ledger');
    assert.equal(exitCode, 0);
    assert.match(out, /chunks copied by hash +1/);
    assert.match(out, /0198c1de-\S+ +erased +2 of tickets\.v1\/3 1\.\.40/);
  });

  it('prints all of it as one line of JSON', async () => {
    answer = copied;
    const { exitCode, out } = await run('ledger', '--json');
    assert.equal(exitCode, 0);
    const report = JSON.parse(out) as Record<string, unknown>;
    assert.equal(report['rebuilt'], 'ledger');
    assert.equal(report['chunksCopied'], 1);
    assert.equal(out.trim().split('\n').length, 1);
  });

  it('says what to do when another one runs', async () => {
    answer = undefined;
    const { exitCode, err } = await run('tickets');
    assert.equal(exitCode, 1);
    assert.match(err, /A rebuild of tickets is running/);
    assert.match(err, /Wait for its end/);
  });

  for (const [name, args] of [
    ['something else', ['privacy']],
    ['a check that swaps', ['tickets', '--check', '--accept-differences']],
  ] as const) {
    it(`refuses ${name} before it calls`, async () => {
      const { exitCode } = await run(...args);
      assert.equal(exitCode, 2);
      assert.deepEqual(requests, []);
    });
  }
});
