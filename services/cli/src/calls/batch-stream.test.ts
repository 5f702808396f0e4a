import assert from 'node:assert/strict';
import { status } from '@grpc/grpc-js';
import { AppendOutcome } from '@lethe/proto/gen/lethe/log/v1/append.ts';
import { NewTicketEvent, TicketServiceService } from '@lethe/proto/gen/lethe/tickets/v1/service.ts';
import { createJumpingClock } from '../testing/captured.ts';
import { startFakeServer, type FakeServer } from '../testing/fake-server.ts';
import { createFakeTickets } from '../testing/fake-tickets.ts';
import { sendBatches } from './batch-stream.ts';
import { CallError } from './call-error.ts';
import { openChannel, type Channel } from './channel.ts';
import type { AskedWait } from './retry.ts';

const messageOf = (number: number) => ({
  events: [NewTicketEvent.fromPartial({ id: { $case: 'sourceId', value: `event ${number}` } })],
});

describe('sending batches', () => {
  let tickets: ReturnType<typeof createFakeTickets>;
  let server: FakeServer;
  let channel: Channel;
  beforeEach(async () => {
    tickets = createFakeTickets();
    server = await startFakeServer([tickets.service]);
    channel = openChannel(server.address);
  });
  afterEach(() => {
    channel.close();
    server.stop();
  });

  interface SendWish {
    readonly tokens?: string[];
    readonly pulled?: number[];
    readonly waits?: AskedWait[];
  }
  const send = async (count: number, wish: SendWish = {}) => {
    const outcomes: AppendOutcome[] = [];
    const messages = Array.from({ length: count }, (_, index) => messageOf(index));
    await sendBatches({
      channel,
      method: TicketServiceService.streamTicketEvents,
      accessToken: async () => await Promise.resolve(wish.tokens?.shift() ?? 'token'),
      messages: (function* () {
        for (const message of messages) {
          wish.pulled?.push(outcomes.length);
          yield message;
        }
      })(),
      inFlightMax: 3,
      onAcknowledged: (request, { results }) => {
        assert.equal(request, messages[outcomes.length]);
        outcomes.push(results[0]?.outcome ?? 0);
      },
      onAskedToWait: (wait) => wish.waits?.push(wait),
      means: {
        clock: createJumpingClock(),
        randomFraction: () => 0,
        signal: new AbortController().signal,
      },
    });
    return outcomes;
  };

  it('acknowledges every message in order, and ends with none', async () => {
    assert.equal((await send(50)).length, 50);
    assert.deepEqual(await send(0), []);
  });

  it('reads no more than what may be in flight', async () => {
    const pulled: number[] = [];
    await send(20, { pulled });
    // The message at place n is only read when at most two before it are unacknowledged.
    pulled.forEach((acknowledged, place) =>
      assert.ok(place - acknowledged < 3, `${place} after ${acknowledged}`),
    );
  });

  it('sends what was not acknowledged again after a break, with a fresh token, and loses nothing', async () => {
    tickets.failNext({ code: status.UNAVAILABLE, message: 'Restarting.', reason: 'SHUTTING_DOWN' });
    const outcomes = await send(10, { tokens: ['first', 'second'] });
    assert.equal(tickets.stored.size, 10);
    // The first was committed before the break: its second sending is a duplicate.
    assert.equal(outcomes[0], AppendOutcome.APPEND_OUTCOME_DUPLICATE);
    assert.equal(outcomes.length, 10);
  });

  const full = {
    code: status.RESOURCE_EXHAUSTED,
    message: 'The limit of their rows is reached.',
    reason: 'TOO_MUCH_PENDING',
    retryDelayMs: 2_000,
  };

  it('slows down as often as a full server asks for it, says so, and loses nothing', async () => {
    for (let refusals = 0; refusals < 40; refusals += 1) tickets.refuseNext(full);
    const waits: AskedWait[] = [];
    assert.equal((await send(10, { waits })).length, 10);
    assert.equal(tickets.stored.size, 10);
    assert.equal(waits.length, 40);
    assert.deepEqual(waits[0], { delayMs: 2_000, message: full.message });
  });

  it('gives up on a server that stays full', async () => {
    for (let refusals = 0; refusals < 1_000; refusals += 1) tickets.refuseNext(full);
    const waits: AskedWait[] = [];
    await assert.rejects(
      send(10, { waits }),
      (error) => error instanceof CallError && error.details.reason === 'TOO_MUCH_PENDING',
    );
    assert.ok(waits.length >= 450 && waits.length < 460, `${waits.length} waits of 2 s`);
  });

  it('goes on with a fresh token when a stream outlived its own, but not with one that never worked', async () => {
    const expired = { code: status.UNAUTHENTICATED, message: 'Over.', reason: 'TOKEN_EXPIRED' };
    tickets.refuseNext(undefined);
    tickets.refuseNext(expired);
    assert.equal((await send(10, { tokens: ['first', 'second'] })).length, 10);
    tickets.refuseNext(expired);
    await assert.rejects(
      send(10),
      (error) => error instanceof CallError && error.details.reason === 'TOKEN_EXPIRED',
    );
  });

  it('gives up at once on what no retry heals', async () => {
    tickets.failNext({ code: status.PERMISSION_DENIED, message: 'No.', reason: 'ROLE_REQUIRED' });
    await assert.rejects(
      send(10),
      (error) => error instanceof CallError && error.details.reason === 'ROLE_REQUIRED',
    );
  });
});
