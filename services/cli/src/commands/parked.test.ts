import assert from 'node:assert/strict';
import type { sendUnaryData, ServerUnaryCall, ServerWritableStream } from '@grpc/grpc-js';
import {
  AnalyticsParkingServiceService,
  GetParkedStreamResponse,
  type ListParkedStreamsRequest,
  ListParkedStreamsResponse,
  ParkedStreamRef,
  PredictionsParkingServiceService,
  type ReplayParkedStreamsRequest,
  ReplayParkedStreamsResponse,
  ReplayState,
} from '@lethe/proto/gen/lethe/parking/v1/service.ts';
import { runCaptured } from '../testing/captured.ts';
import { startFakeServer, type FakeServer } from '../testing/fake-server.ts';

const token = 'ab'.repeat(16);
const ref = ParkedStreamRef.create({
  topic: 'tickets.v1',
  partition: 3,
  tenantId: 'aldermoor',
  stream: token,
});
const stream = {
  ref,
  reason: 'RECORD_NEWER',
  firstSequence: 17n,
  parkedAt: new Date(Date.UTC(2026, 2, 2)),
  events: 2n,
  bytes: 1_400n,
};
const event = { type: 'TicketDreamed', schemaVersion: 2, bytes: 700n };
const events = [
  {
    ...event,
    sequence: 17n,
    eventId: '0192f0c4-1b2a-7c3d-8e4f-5a6b7c8d9e0f',
    reason: 'RECORD_NEWER',
  },
  { ...event, sequence: 19n, reason: 'STREAM_PARKED' },
];

describe('lethe parked', () => {
  let server: FakeServer;
  let parked: { analytics: (typeof stream)[]; predictions: (typeof stream)[] };
  let asked: ListParkedStreamsRequest[];
  let replays: ReplayParkedStreamsRequest[];
  let steps: Partial<ReplayParkedStreamsResponse>[];

  before(async () => {
    const methods = (service: 'analytics' | 'predictions') => ({
      listParkedStreams: (
        call: ServerUnaryCall<ListParkedStreamsRequest, ListParkedStreamsResponse>,
        respond: sendUnaryData<ListParkedStreamsResponse>,
      ) => {
        asked.push(call.request);
        const { stream: wanted, pageToken } = call.request;
        const all = parked[service].filter((each) => ['', each.ref.stream].includes(wanted));
        // One a page.
        const at = Number(pageToken);
        respond(
          null,
          ListParkedStreamsResponse.fromPartial({
            streams: all.slice(at, at + 1),
            nextPageToken: at + 1 < all.length ? `${at + 1}` : '',
            streamsInAll: BigInt(parked[service].length),
            eventsInAll: BigInt(parked[service].length * 2),
          }),
        );
      },
      getParkedStream: (_call: unknown, respond: sendUnaryData<GetParkedStreamResponse>) =>
        respond(null, GetParkedStreamResponse.fromPartial({ stream, events })),
      replayParkedStreams: (
        call: ServerWritableStream<ReplayParkedStreamsRequest, ReplayParkedStreamsResponse>,
      ) => {
        replays.push(call.request);
        for (const each of call.request.refs) {
          for (const step of steps)
            call.write(ReplayParkedStreamsResponse.fromPartial({ ref: each, ...step }));
        }
        call.end();
      },
    });
    server = await startFakeServer([
      [AnalyticsParkingServiceService, methods('analytics')],
      [PredictionsParkingServiceService, methods('predictions')],
    ]);
  });
  after(() => server.stop());
  beforeEach(() => {
    const other = { ...stream, ref: { ...ref, stream: 'cd'.repeat(16) } };
    parked = { analytics: [stream, other], predictions: [stream] };
    asked = [];
    replays = [];
    steps = [
      { state: ReplayState.REPLAY_STATE_RUNNING, applied: 1n },
      { state: ReplayState.REPLAY_STATE_DONE, applied: 2n },
    ];
  });

  const run = async (...argv: readonly string[]) =>
    await runCaptured(['parked', ...argv, '--server', server.address, '--token', 't']);

  it('list says where what is parked and why, and what to do about it', async () => {
    const { exitCode, out } = await run(
      'list',
      '--tenant',
      'aldermoor',
      '--reason',
      'RECORD_NEWER',
    );
    assert.equal(exitCode, 0);
    const row = new RegExp(`analytics +aldermoor +${token} +tickets.v1/3 +RECORD_NEWER +17 +2 `);
    assert.match(out, row);
    assert.equal(out.match(/RECORD_NEWER +17/g)?.length, 3);
    assert.match(out, /newer schema version[^]*Upgrade the service[^]*`lethe parked replay --all`/);
    assert.ok(
      asked.every(({ tenantId, reason }) => tenantId === 'aldermoor' && reason === 'RECORD_NEWER'),
    );
    const one = await run('list', '--service', 'predictions', '--json');
    const answer: unknown = JSON.parse(one.out);
    assert.deepEqual(answer, {
      streams: [
        {
          service: 'predictions',
          topic: 'tickets.v1',
          partition: 3,
          tenant: 'aldermoor',
          stream: token,
          reason: 'RECORD_NEWER',
          firstSequence: 17,
          parkedAt: '2026-03-02T00:00:00.000Z',
          events: 2,
          bytes: 1400,
        },
      ],
      inAll: [{ service: 'predictions', streams: 1, events: 2 }],
    });
  });

  it('list says when nothing is parked, and when a filter hides what is', async () => {
    parked = { analytics: [stream], predictions: [] };
    assert.match((await run('list', '--service', 'predictions')).out, /^Nothing is parked\.\n$/);
    parked.analytics = [];
    assert.equal((await run('list')).out, 'Nothing is parked.\n');
    assert.deepEqual(JSON.parse((await run('list', '--json')).out), {
      streams: [],
      inAll: [
        { service: 'analytics', streams: 0, events: 0 },
        { service: 'predictions', streams: 0, events: 0 },
      ],
    });
    const wrong = await run('list', '--reason', 'NO_SUCH');
    assert.equal(wrong.exitCode, 2);
    assert.match(wrong.err, /--reason/);
  });

  it('show lists what waits, once for each service that parked it', async () => {
    const { exitCode, out } = await run('show', token);
    assert.equal(exitCode, 0);
    assert.match(
      out,
      /parked by +analytics[^]*TicketDreamed +2 [^]*STREAM_PARKED[^]*parked by +predictions/,
    );
    const unknown = await run('show', 'ee'.repeat(16));
    assert.equal(unknown.exitCode, 1);
    assert.match(unknown.err, /is parked[^]*PARKED_STREAM_UNKNOWN[^]*`lethe parked list`/);
    const lines = (await run('show', token, '--json')).out.trim().split('\n');
    assert.equal(lines.length, 2);
    assert.equal((JSON.parse(lines[0] ?? '') as { waiting: object[] }).waiting.length, 2);
  });

  it('replay wants one stream or all, and says what each came to', async () => {
    for (const argv of [['replay'], ['replay', token, '--all']]) {
      const { exitCode, err } = await run(...argv);
      assert.equal(exitCode, 2);
      assert.match(err, /--all/);
    }
    const { exitCode, out, err } = await run('replay', token);
    assert.equal(exitCode, 0);
    assert.match(out, new RegExp(`analytics +aldermoor +${token} +replayed +2`));
    assert.match(err, /Replaying {2}4 of 4 events applied/);
    assert.deepEqual(
      replays.map(({ refs }) => refs.map((each) => each.stream)),
      [[token], [token]],
    );
    replays = [];
    await run('replay', '--all');
    assert.deepEqual(
      replays.map(({ refs }) => refs.length),
      [2, 1],
    );
  });

  it('replay ends with 1 when anything stays parked', async () => {
    steps = [
      {
        state: ReplayState.REPLAY_STATE_STILL_PARKED,
        applied: 1n,
        reason: 'TAMPERED',
        sequence: 19n,
      },
    ];
    const { exitCode, out } = await run('replay', token, '--service', 'analytics');
    assert.equal(exitCode, 1);
    assert.match(out, /still parked +1 +TAMPERED at 19[^]*Treat it as an incident/);
    const { out: json } = await run('replay', token, '--service', 'analytics', '--json');
    const [only] = (JSON.parse(json) as { streams: Record<string, unknown>[] }).streams;
    assert.deepEqual([only?.['state'], only?.['sequence']], ['still_parked', 19]);
    steps = [];
    // A server that ends the call without a word has not replayed anything.
    const silent = await run('replay', token, '--service', 'analytics');
    assert.equal(silent.exitCode, 1);
    assert.match(silent.out, /not finished +0/);
    parked = { analytics: [], predictions: [] };
    const nothing = await run('replay', '--all');
    assert.deepEqual([nothing.exitCode, nothing.out], [0, 'Nothing is parked.\n']);
  });
});
