import assert from 'node:assert/strict';
import { chmodSync, cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Grain } from '@lethe/proto/gen/lethe/analytics/v1/service.ts';
import { AppendOutcome, type AppendResult } from '@lethe/proto/gen/lethe/log/v1/append.ts';
import { ErasureGround, ReturningPersons } from '@lethe/proto/gen/lethe/privacy/v1/enums.ts';
import {
  PrivacyServiceService,
  RequestErasureRequest,
} from '@lethe/proto/gen/lethe/privacy/v1/service.ts';
import {
  type NewTicketEvent,
  TicketServiceService,
} from '@lethe/proto/gen/lethe/tickets/v1/service.ts';
import { foreignMint, mintOf, type TokenMint } from '../harness/access-tokens.ts';
import { type Api, CallFailure, openApi } from '../harness/api.ts';
import { figuresComplete, queryMetric } from '../harness/figures.ts';
import { jsonLine, runLethe, saidError, type LetheResult } from '../harness/lethe.ts';
import { createProcessKeeper } from '../harness/processes.ts';
import { NotStarted, type RunningServer, startServer } from '../harness/server.ts';
import { violationsIn } from '../harness/stored-laws.ts';
import { makeFolder, removeFolder } from '../harness/temporary-folder.ts';
import { messageAdded, newEvent, newEventId, ticketOpened } from '../harness/ticket-events.ts';

const { appendTicketEvents, streamTicketEvents, getTicket, getTranscript } = TicketServiceService;
const here = 'tenant-here';
const elsewhere = 'tenant-elsewhere';

describe('bad input', function () {
  this.timeout(120_000);
  const accepted = AppendOutcome.APPEND_OUTCOME_ACCEPTED;
  const keeper = createProcessKeeper();
  const folder = makeFolder();
  const dataFolder = join(folder, 'data');
  const logFile = join(folder, 'server.log');
  let server: RunningServer;
  let api: Api;
  let mint: TokenMint;
  let token = '';

  before(async () => {
    server = await startServer(keeper, { dataFolder, logFile });
    api = openApi(server.address);
    mint = mintOf(dataFolder);
    token = mint.mint({ tenant: here, roles: ['writer', 'reader', 'privacy-officer'] });
    const admin = mint.mint({ roles: ['platform-admin'] });
    for (const tenantId of [here, elsewhere]) {
      const settings = {
        region: 'test',
        retentionDays: 400,
        returningPersons: ReturningPersons.RETURNING_PERSONS_ALLOW,
      };
      await api.unary(PrivacyServiceService.registerTenant, { tenantId, settings }, admin);
    }
  });
  after(async () => {
    await keeper.stopAll();
    removeFolder(folder);
    api.close();
  });

  /** Accepted events by id: what the figures must hold in the end. */
  const accepts = new Map<string, string>();
  const append = async (...events: NewTicketEvent[]): Promise<AppendResult[]> => {
    const { results } = await api.unary(appendTicketEvents, { events }, token);
    results.forEach(({ outcome, eventId }, index) => {
      if (outcome === accepted) accepts.set(eventId, events[index]?.event?.event?.$case ?? '');
    });
    return results;
  };
  const lethe = async (...args: readonly string[]): Promise<LetheResult> =>
    await runLethe(keeper, [...args, '--json', '--data', dataFolder]);
  const appendOne = async (event: NewTicketEvent): Promise<AppendResult> => {
    const [result] = await append(event);
    assert.ok(result !== undefined);
    return result;
  };
  const failure = async (call: Promise<unknown>): Promise<CallFailure> => {
    const error = await call.then(
      () => assert.fail('the call was answered'),
      (reason: unknown) => reason,
    );
    assert.ok(error instanceof CallFailure, String(error));
    return error;
  };
  const eventsOf = async (ticketId: string): Promise<number> => {
    const request = { ticket: { $case: 'ticketId', value: ticketId } } as const;
    return (await api.unary(getTranscript, request, token)).entries.length;
  };

  it('that is no protobuf is INVALID_ARGUMENT', async () => {
    const garbage = Buffer.from('ffffffffffffffff', 'hex');
    const { code, reason } = await failure(api.unaryBytes(appendTicketEvents.path, garbage, token));
    assert.deepEqual([code, reason], ['INVALID_ARGUMENT', 'MALFORMED_MESSAGE']);
  });

  it('in one event names every field and rule, and its neighbours are stored', async () => {
    const bad = newEvent('B-1', ticketOpened('nobody'), { occurredAt: new Date('1990-01-01') });
    const opened = bad.event?.event;
    assert.ok(opened?.$case === 'ticketOpened' && opened.value.facts !== undefined);
    const unknownNumber: number = 99;
    Object.assign(opened.value.facts, { channel: unknownNumber });
    opened.value.requester = undefined;
    opened.value.content = undefined;
    const good = newEvent('B-2', ticketOpened('somebody'));
    const [first, second] = await append(bad, good);
    assert.equal(first?.outcome, AppendOutcome.APPEND_OUTCOME_INVALID);
    const fields = first.violations.map(({ field }) => field).join(' ');
    for (const field of ['occurred_at', 'channel', 'requester', 'content']) {
      assert.ok(fields.includes(field), `${field} in ${fields}`);
    }
    assert.equal(second?.outcome, accepted);
    const request = { ticket: { $case: 'ticketId', value: 'B-1' } } as const;
    assert.equal((await failure(api.unary(getTicket, request, token))).reason, 'TICKET_UNKNOWN');
  });

  it('of 0 or 1,001 events a message is refused whole', async () => {
    const many = Array.from({ length: 1_001 }, (_, n) => newEvent(`M-${n}`, ticketOpened('many')));
    for (const events of [[], many]) {
      const { code, reason } = await failure(api.unary(appendTicketEvents, { events }, token));
      assert.deepEqual([code, reason], ['INVALID_ARGUMENT', 'BATCH_SIZE']);
    }
    const request = { ticket: { $case: 'ticketId', value: 'M-0' } } as const;
    assert.equal((await failure(api.unary(getTicket, request, token))).reason, 'TICKET_UNKNOWN');
  });

  it('that is larger than the log takes is refused before anything is stored', async () => {
    await append(newEvent('L-1', ticketOpened('large')));
    const large = await appendOne(newEvent('L-1', messageAdded('x'.repeat(1_000_000))));
    assert.deepEqual(
      [large.outcome, large.reason],
      [AppendOutcome.APPEND_OUTCOME_INVALID, 'EVENT_TOO_LARGE'],
    );
    assert.equal(await eventsOf('L-1'), 1);
  });

  it('that is larger than a message may be is refused by the transport, and the next is taken', async () => {
    const events = [newEvent('L-2', ticketOpened('large', 'x'.repeat(9_000_000)))];
    const { code } = await failure(api.unary(appendTicketEvents, { events }, token));
    assert.equal(code, 'RESOURCE_EXHAUSTED');
    assert.equal((await appendOne(newEvent('L-3', ticketOpened('large')))).outcome, accepted);
  });

  it('with a token that is missing, expired, foreign or for another role', async () => {
    const claims = { tenant: here, roles: ['writer', 'reader'] };
    const wrong: [string | undefined, string][] = [
      [undefined, 'TOKEN_MISSING'],
      ['no.token.at-all', 'TOKEN_INVALID'],
      [mint.mint({ ...claims, ttlS: -10, ageS: 100 }), 'TOKEN_EXPIRED'],
      [mint.mint({ ...claims, ttlS: 7_200 }), 'TOKEN_EXPIRED'],
      [mint.mint({ ...claims, iss: 'somebody-else' }), 'TOKEN_INVALID'],
      [mint.mint({ ...claims, aud: 'something-else' }), 'TOKEN_INVALID'],
      [foreignMint().mint(claims), 'TOKEN_INVALID'],
      [mint.mint({ tenant: here, roles: ['reader'] }), 'ROLE_REQUIRED'],
      [mint.mint({ roles: ['platform-admin'] }), 'ROLE_REQUIRED'],
      [mint.mint({ tenant: 'never-registered', roles: ['writer'] }), 'TENANT_UNKNOWN'],
    ];
    for (const [wrongToken, expected] of wrong) {
      const events = [newEvent('W-1', ticketOpened('wrong'))];
      const { reason } = await failure(api.unary(appendTicketEvents, { events }, wrongToken));
      assert.equal(reason, expected);
    }
  });

  it('with another tenant’s ticket finds no ticket, by id and by token', async () => {
    await append(newEvent('T-1', ticketOpened('tenant-person')));
    const byId = { ticket: { $case: 'ticketId', value: 'T-1' } } as const;
    const ticketToken = (await api.unary(getTicket, byId, token)).ticket?.ticketToken ?? '';
    const foreign = mint.mint({ tenant: elsewhere, roles: ['reader', 'writer'] });
    const byToken = { ticket: { $case: 'ticketToken', value: ticketToken } } as const;
    for (const request of [byId, byToken]) {
      for (const method of [getTicket, getTranscript]) {
        const { reason } = await failure(
          api.unary<typeof request, unknown>(method, request, foreign),
        );
        assert.equal(reason, 'TICKET_UNKNOWN');
      }
    }
    const events = [newEvent('T-1', messageAdded('from elsewhere'))];
    const [result] = (await api.unary(appendTicketEvents, { events }, foreign)).results;
    assert.equal(result?.outcome, AppendOutcome.APPEND_OUTCOME_UNKNOWN_TICKET);
    assert.equal(await eventsOf('T-1'), 1);
  });

  it('that repeats an id is a duplicate, and with other content a conflict', async () => {
    const event = newEvent('D-1', ticketOpened('double'), { eventId: newEventId() });
    assert.equal((await appendOne(event)).outcome, accepted);
    assert.equal((await appendOne(event)).outcome, AppendOutcome.APPEND_OUTCOME_DUPLICATE);
    const other = { ...event, event: { event: ticketOpened('double', 'Another subject') } };
    const conflict = await appendOne(other);
    assert.deepEqual(
      [conflict.outcome, conflict.reason],
      [AppendOutcome.APPEND_OUTCOME_CONFLICT, 'EVENT_CONFLICT'],
    );
    assert.equal(await eventsOf('D-1'), 1);
  });

  it('about a ticket that was never opened is unknown and may be sent again', async () => {
    const message = newEvent('U-1', messageAdded('too early'));
    assert.equal((await appendOne(message)).outcome, AppendOutcome.APPEND_OUTCOME_UNKNOWN_TICKET);
    await append(newEvent('U-1', ticketOpened('unknown')));
    assert.equal((await appendOne(message)).outcome, accepted);
  });

  it('of an erased person is erased for ever', async () => {
    const opened = newEvent('E-1', ticketOpened('erased-person'));
    await append(opened);
    const request = RequestErasureRequest.fromPartial({
      person: { $case: 'personId', value: 'erased-person' },
      ground: ErasureGround.ERASURE_GROUND_CONSENT_WITHDRAWN,
    });
    await api.unary(PrivacyServiceService.requestErasure, request, token);
    const results = await append(
      newEvent('E-1', messageAdded('too late')),
      opened,
      newEvent('E-2', ticketOpened('erased-person')),
    );
    for (const { outcome } of results) {
      assert.equal(outcome, AppendOutcome.APPEND_OUTCOME_ERASED);
    }
    const erased = { ticket: { $case: 'ticketId', value: 'E-1' } } as const;
    assert.equal((await failure(api.unary(getTranscript, erased, token))).reason, 'TICKET_ERASED');
  });

  it('by a stream that is cut leaves exactly what was acknowledged, and the one in flight or not', async () => {
    await append(newEvent('S-1', ticketOpened('stream')));
    const stream = api.exchange(streamTicketEvents, token);
    for (let sent = 0; sent < 3; sent++) {
      await stream.ask({ events: [newEvent('S-1', messageAdded(`message ${sent}`))] });
    }
    stream.send({
      events: [
        newEvent('S-1', messageAdded('flight a')),
        newEvent('S-1', messageAdded('flight b')),
      ],
    });
    stream.cut();
    // Asked over the same server: it lives, and an append that was under way has ended one way or the other.
    await append(newEvent('S-2', ticketOpened('stream')));
    const stored = await eventsOf('S-1');
    // Opening, three messages and the first reply's milestone; then both of the flight or none.
    assert.ok(stored === 5 || stored === 7, `${stored} events`);
  });

  it('as a port, folder or keyring that cannot be used stops the start with the reason', async () => {
    const { port } = new URL(`http://${server.address}`);
    const second = async (wish: { dataFolder: string; port?: number }): Promise<NotStarted> => {
      const error = await startServer(keeper, { logFile, ...wish }).then(
        async (started) => {
          await started.killNine();
          assert.fail('the server started');
        },
        (reason: unknown) => reason,
      );
      assert.ok(error instanceof NotStarted, String(error));
      assert.ok(error.next.length > 0, 'it says what to do');
      return error;
    };
    const otherFolder = join(folder, 'other');
    const taken = await second({ dataFolder: otherFolder, port: Number(port) });
    assert.equal(taken.reason, 'PORT_IN_USE');
    assert.equal((await second({ dataFolder })).reason, 'DATA_FOLDER_IN_USE');

    const newer = join(folder, 'newer');
    cpSync(otherFolder, newer, { recursive: true });
    writeFileSync(join(newer, 'version.json'), '{"format":99}');
    assert.equal((await second({ dataFolder: newer })).reason, 'DATA_FOLDER_NEWER');

    const keyring = join(otherFolder, 'keyring.json');
    const intact = readFileSync(keyring, 'utf8');
    for (const damage of [intact.slice(0, -9), intact.replace('"format"', '"formar"')]) {
      writeFileSync(keyring, damage);
      const damaged = await second({ dataFolder: otherFolder });
      assert.equal(damaged.reason, 'KEYRING_DAMAGED');
      assert.equal(readFileSync(keyring, 'utf8'), damage, 'it is left for its owner to restore');
    }
    writeFileSync(keyring, intact);
    chmodSync(keyring, 0o644);
    assert.equal((await second({ dataFolder: otherFolder })).reason, 'KEYRING_DAMAGED');
    chmodSync(keyring, 0o600);
    const mended = await startServer(keeper, { dataFolder: otherFolder, logFile });
    assert.equal((await mended.stop()).exitCode, 0);
  });

  it('leaves a server that serves, and a command that says what to do', async () => {
    const status = await lethe('status');
    assert.equal(status.exitCode, 0, status.stderr);
    const { services } = jsonLine<{ services: Record<string, string> }>(status);
    assert.ok(
      Object.values(services).every((health) => health === 'serving'),
      status.stdout,
    );
    const missing = await lethe('ticket', 'show', 'no-such-ticket', '--tenant', here);
    assert.equal(missing.exitCode, 1);
    assert.equal(saidError(missing).reason, 'TICKET_UNKNOWN');
    const second = await lethe('up', '--once', '--port', '0', '--health-port', '0');
    assert.equal(second.exitCode, 1);
    const { reason, next } = saidError(second);
    assert.equal(reason, 'DATA_FOLDER_IN_USE');
    assert.match(next ?? '', /stop it|another/i);
  });

  it('leaves nothing half-written: the figures hold what was accepted, the stores agree', async () => {
    const grain = Grain.GRAIN_TOTAL;
    await figuresComplete(api, token, grain);
    const created = await queryMetric(api, token, { metricId: 'created', grain });
    const opened = Array.from(accepts.values()).filter((type) => type === 'ticketOpened');
    assert.deepEqual(
      created.rows.map(({ exact }) => exact),
      [BigInt(opened.length)],
    );
    const foreign = mint.mint({ tenant: elsewhere, roles: ['reader'] });
    const replies = await queryMetric(api, foreign, { metricId: 'replies', grain });
    assert.ok(replies.rows.every(({ exact }) => exact === 0n));
    assert.equal((await server.stop()).exitCode, 0);
    assert.deepEqual(await violationsIn(dataFolder), []);
  });

  it('as a folder whose keyring is gone stops the start, until the keyring is back', async () => {
    const keyring = join(dataFolder, 'keyring.json');
    const intact = readFileSync(keyring);
    rmSync(keyring);
    const error = await startServer(keeper, { dataFolder, logFile }).then(
      () => assert.fail('the server started'),
      (reason: unknown) => reason,
    );
    assert.ok(error instanceof NotStarted && error.next !== '', String(error));
    assert.match(error.reason, /^(KMS|KEYRING)_/);
    writeFileSync(keyring, intact, { mode: 0o600 });
    chmodSync(keyring, 0o600);
    const mended = await startServer(keeper, { dataFolder, logFile });
    assert.equal((await mended.stop()).exitCode, 0);
  });
});
