import assert from 'node:assert/strict';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { TicketServiceService } from '@lethe/proto/gen/lethe/tickets/v1/service.ts';
import { mintOf } from '../harness/access-tokens.ts';
import { CallFailure, openApi, type Api } from '../harness/api.ts';
import { jsonLine, runLethe, startLethe } from '../harness/lethe.ts';
import { createProcessKeeper } from '../harness/processes.ts';
import { startServer, type RunningServer } from '../harness/server.ts';
import { makeFolder, removeFolder } from '../harness/temporary-folder.ts';
import { newEvent, ticketOpened } from '../harness/ticket-events.ts';

const { appendTicketEvents, streamTicketEvents, listTickets } = TicketServiceService;
const callsPerCaller = 12;
const page = { pageSize: 1, pageToken: '' };

/** More than the server has been told to take. */
describe('a server under pressure', function () {
  this.timeout(240_000);
  const keeper = createProcessKeeper();
  const folder = makeFolder();
  const dataFolder = join(folder, 'data');
  let server: RunningServer;
  let api: Api;
  before(async () => {
    const logFile = join(folder, 'server.log');
    const env = {
      LETHE_TICKETS_PENDING_ROWS_MAX: '1000',
      LETHE_CALLS_PER_CALLER_MAX: String(callsPerCaller),
    };
    server = await startServer(keeper, { dataFolder, logFile, env });
    for (const tenant of ['flood-town', 'calm-town']) {
      const { exitCode, stderr } = await lethe('tenant', 'register', tenant);
      assert.equal(exitCode, 0, stderr);
    }
    api = openApi(server.address);
  });
  after(async () => {
    api.close();
    await keeper.stopAll();
    removeFolder(folder);
  });

  const lethe = async (...args: readonly string[]) =>
    await runLethe(keeper, [...args, '--data', dataFolder]);
  const tokenOf = (tenant: string) =>
    mintOf(dataFolder).mint({ tenant, roles: ['reader', 'writer'] });
  const reasonOf = async (call: Promise<unknown>): Promise<string> =>
    await call.then(
      () => '',
      (error: unknown) => (error instanceof CallFailure ? error.reason : String(error)),
    );

  it('is not overrun: it refuses, a send waits as it is asked to, says so, and loses nothing', async () => {
    // A send may slip through between two floods: then the same help desk is sent again, as another seed has other
    // events under the same ids. What comes when the limit is reached is refused before anyone asks whether it is new.
    for (let attempt = 1; ; attempt += 1) {
      const { stderr, events, refusals } = await sendBesideFloods(`flood-${attempt}`);
      assert.equal(events, 1_500);
      if (!stderr.includes('the server asks to wait')) continue;
      assert.ok(refusals > 0, 'nothing was refused');
      assert.match(stderr, /the server asks to wait 2\.0 s: .*the limit of their rows is reached/);
      return;
    }
  });

  /** Sends a made-up help desk while others fill what may wait, so that whatever comes beside them is refused. */
  async function sendBesideFloods(floodName: string) {
    const size = ['--tenants', '2', '--events', '1500', '--days', '30', '--seed', 'pressure'];
    const sending = startLethe(keeper, [
      'generate',
      '--send',
      '--json',
      '--data',
      dataFolder,
      ...size,
    ]);
    let isWaiting = false;
    let refusals = 0;
    const flood = async (name: string) => {
      for (let round = 0; !isWaiting && sending.child.exitCode === null; round += 1) {
        const events = Array.from({ length: 1_000 }, (_, index) =>
          newEvent(`${floodName}-${name}-${round}-${index}`, ticketOpened(`person-${index % 9}`)),
        );
        const reason = await reasonOf(
          api.unary(appendTicketEvents, { events }, tokenOf('flood-town')),
        );
        assert.match(reason, /^(TOO_MUCH_PENDING)?$/);
        if (reason !== '') refusals += 1;
        isWaiting = sending.stderr().includes('the server asks to wait');
        if (reason !== '') await delay(20);
      }
    };
    await Promise.all(['one', 'two', 'three', 'four'].map(flood));
    const result = await sending.result;
    assert.equal(result.exitCode, 0, result.stderr);
    const { tally } = jsonLine<{ tally: { counts: Record<string, number> } }>(result);
    const { accepted = 0, duplicate = 0 } = tally.counts;
    return { stderr: result.stderr, events: accepted + duplicate, refusals };
  }

  it('takes so many calls of one tenant, serves the others, and goes on when some leave', async () => {
    const token = tokenOf('flood-town');
    const message = { events: [newEvent('T-1', ticketOpened('somebody'))] };
    // Until what waited for the log has gone there.
    while ((await reasonOf(api.unary(appendTicketEvents, message, token))) !== '') await delay(50);
    const open = Array.from({ length: callsPerCaller }, () =>
      api.exchange(streamTicketEvents, token),
    );
    for (const stream of open) assert.equal((await stream.ask(message)).results.length, 1);
    const list = async (tenant: string) =>
      await reasonOf(api.unary(listTickets, page, tokenOf(tenant)));
    assert.equal(await list('flood-town'), 'TOO_MANY_CALLS');
    assert.equal(await list('calm-town'), '');
    for (const stream of open) assert.equal((await stream.ask(message)).results.length, 1);
    open[0]?.cut();
    while ((await list('flood-town')) !== '') await delay(10);
    for (const stream of open) stream.cut();
  });
});
