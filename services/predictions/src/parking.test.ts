import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { type Kysely, sql } from 'kysely';
import { createConsumer } from '@lethe/platform/consumer/consumer.ts';
import { migrateToLatest } from '@lethe/platform/database/migrate.ts';
import { createObserver } from '@lethe/platform/event-store/observe.ts';
import { raiseFences } from '@lethe/platform/event-store/fences.ts';
import { sealRecord } from '@lethe/platform/event-store/seal-record.ts';
import type { EventStoreSchema } from '@lethe/platform/event-store/tables.ts';
import type { LogWrite } from '@lethe/platform/event-log/port.ts';
import { eventIdBytes, type TenantId } from '@lethe/platform/ids/ids.ts';
import { recordIdOf } from '@lethe/platform/ids/record-id.ts';
import { systemClock } from '@lethe/platform/lifecycle/clock.ts';
import { createLogger } from '@lethe/platform/log/logger.ts';
import { createOutboxTables } from '@lethe/platform/outbox/tables.ts';
import type { ParkingOptions } from '@lethe/platform/parking/park.ts';
import { parkingHandlers } from '@lethe/platform/parking/parking-service.ts';
import { eventBytesOf } from '@lethe/platform/sealing/event.ts';
import { openTestLog, type TestLog } from '@lethe/platform/testing/log-records.ts';
import { createMemoryKeys, type MemoryKeys } from '@lethe/platform/testing/memory-keys.ts';
import { openTestDatabase } from '@lethe/platform/testing/test-database.ts';
import { peersWithOwner } from '@lethe/platform/testing/topic-owner.ts';
import { Record as LogRecord } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import {
  GetParkedStreamRequest,
  ListParkedStreamsRequest,
  ParkedStreamRef,
  ReplayParkedStreamsRequest,
  type ReplayParkedStreamsResponse,
  ReplayState,
} from '@lethe/proto/gen/lethe/parking/v1/service.ts';
import { Priority } from '@lethe/proto/gen/lethe/tickets/v1/enums.ts';
import { PriorityChanged, TicketEvent } from '@lethe/proto/gen/lethe/tickets/v1/events.ts';
import { createTicketsEffect } from './consumer.ts';
import { migrations } from './migrations/migrations.ts';
import { predictionFamily } from './prediction-events.ts';
import { openedAtMs } from './testing/sample-events.ts';

const acme = 'acme' as TenantId;
const zero = { topic: 'tickets.v1', partition: 0 } as const;
type RecordWrite = Extract<LogWrite, { kind: 'record' }>;

describe('parking of predictions', function () {
  this.timeout(60_000);
  let db: Kysely<EventStoreSchema>;
  let ownerDb: Kysely<unknown>;
  let keys: MemoryKeys;
  let testLog: TestLog;
  const call = {
    caller: { kind: 'platform', subject: 'op', roles: ['platform-admin'] },
    signal: new AbortController().signal,
  } as const;

  before(async () => {
    db = await openTestDatabase<EventStoreSchema>('predictions-parking');
    await migrateToLatest(db, migrations);
    ownerDb = await openTestDatabase('predictions-parking-owner');
    await createOutboxTables(ownerDb);
  });

  beforeEach(async () => {
    await sql`truncate streams, checkpoints, parked_streams, parked_records, fences`.execute(db);
    keys = createMemoryKeys();
    testLog = openTestLog();
  });

  afterEach(async () => {
    await testLog.destroy();
  });

  /** The ticket's priority as tickets.v1 says it. */
  async function changed(ticketId: string, step: number, priority: Priority): Promise<RecordWrite> {
    const tokens = await keys.tokens(acme);
    const owner = { token: tokens.person('u-1'), incarnation: 1 };
    await keys.leaseForSeal(acme, [{ scope: { kind: 'person', token: owner.token } }]);
    const scope = { kind: 'ticket', token: tokens.ticket(ticketId) } as const;
    const [stream] = await keys.leaseForSeal(acme, [{ scope, createFor: owner }]);
    const [facts] = await keys.leaseForSeal(acme, [{ scope: { kind: 'facts' } }]);
    assert(stream?.granted && facts?.granted);
    const value = PriorityChanged.fromPartial({ facts: { priority, dimensions: { priority } } });
    const event = TicketEvent.encode({ event: { $case: 'priorityChanged', value } }).finish();
    const eventId = tokens.eventIdFromSource(`${ticketId}/${step}`);
    const record = sealRecord(
      {
        tenantId: acme,
        eventId,
        streamToken: scope.token,
        position: step,
        occurredAtMs: openedAtMs,
        recordedAtMs: openedAtMs,
        causationId: undefined,
        event: eventBytesOf('tickets', event),
        partKeys: { facts, stream, persons: new Map() },
        contributors: {},
      },
      randomBytes,
    );
    const recordKey = eventIdBytes(recordIdOf(acme, eventId));
    return { kind: 'record', eventId: recordKey, value: record, recordedAtMs: openedAtMs };
  }

  const parking: ParkingOptions = { service: 'predictions', streamKindOf: () => 'ticket' };
  const effectOf = () => {
    const ports = {
      db,
      keys,
      clock: systemClock,
      randomBytes,
      partitions: 6,
      onEnqueued: () => {},
    };
    return createTicketsEffect({ keys, observer: createObserver(predictionFamily, ports) });
  };
  const handlers = () => parkingHandlers({ db, parking, effect: effectOf(), clock: systemClock });

  async function consume(writes: readonly LogWrite[]): Promise<void> {
    const writer = await testLog.log.openWriter(zero);
    await writer.append(1n, writes);
    await writer.close();
    const consumer = createConsumer({
      name: 'predictions-observing',
      db,
      eventLog: testLog.log,
      topics: ['tickets.v1'],
      peers: peersWithOwner(ownerDb),
      effect: effectOf(),
      clock: systemClock,
      logger: createLogger({ service: 'predictions', level: 'silent' }),
      parking,
    });
    consumer.start();
    await consumer.caughtUp();
    assert.equal(consumer.problem(), undefined);
    await consumer.stop();
  }

  async function replay(): Promise<ReplayParkedStreamsResponse[]> {
    const steps: ReplayParkedStreamsResponse[] = [];
    const all = ReplayParkedStreamsRequest.create();
    for await (const step of handlers().replayParkedStreams(all, call)) steps.push(step);
    return steps;
  }

  const known = async (): Promise<number> =>
    (await db.selectFrom('streams').selectAll().execute()).length;

  /** Three tickets; the first event of the first is spoiled. */
  async function plant(spoil: (write: RecordWrite) => RecordWrite): Promise<RecordWrite> {
    const good = await changed('T-1', 1, Priority.PRIORITY_LOW);
    await consume([
      spoil(good),
      await changed('T-2', 1, Priority.PRIORITY_LOW),
      await changed('T-1', 2, Priority.PRIORITY_URGENT),
      await changed('T-3', 1, Priority.PRIORITY_LOW),
    ]);
    return good;
  }

  const newer = (write: RecordWrite): RecordWrite => {
    const record = LogRecord.decode(write.value);
    assert(record.header);
    const header = { ...record.header, schemaVersion: 2 };
    return { ...write, value: LogRecord.encode({ ...record, header }).finish() };
  };

  it('parks a ticket of which it cannot learn, answers what waits, and learns of it once mended', async () => {
    const good = await plant(newer);
    assert.equal(await known(), 2);
    const { streams, streamsInAll, eventsInAll } = await handlers().listParkedStreams(
      ListParkedStreamsRequest.create(),
      call,
    );
    assert.deepEqual([streamsInAll, eventsInAll, streams.length], [1n, 2n, 1]);
    const [stream] = streams;
    const tokens = await keys.tokens(acme);
    assert.deepEqual(stream?.ref, { ...zero, tenantId: 'acme', stream: tokens.ticket('T-1') });
    assert.equal(stream.reason, 'RECORD_NEWER');
    const request = GetParkedStreamRequest.create({ ref: stream.ref });
    const { events } = await handlers().getParkedStream(request, call);
    assert.deepEqual(
      events.map(({ sequence, type, schemaVersion, reason }) => [
        sequence,
        type,
        schemaVersion,
        reason,
      ]),
      [
        [1n, 'PriorityChanged', 2, 'RECORD_NEWER'],
        [3n, 'PriorityChanged', 1, 'STREAM_PARKED'],
      ],
    );
    const [stuck] = await replay();
    assert.equal(stuck?.state, ReplayState.REPLAY_STATE_STILL_PARKED);
    assert.deepEqual([stuck.reason, stuck.sequence], ['RECORD_NEWER', 1n]);
    await sql`update parked_records set record = ${Buffer.from(good.value)} where sequence = 1`.execute(
      db,
    );
    const steps = await replay();
    assert.equal(steps.at(-1)?.state, ReplayState.REPLAY_STATE_DONE);
    assert.equal(steps.at(-1)?.applied, 2n);
    assert.equal(await known(), 3);
    assert.deepEqual(await replay(), []);
    await assert.rejects(handlers().getParkedStream(request, call), {
      reason: 'PARKED_STREAM_UNKNOWN',
    });
  });

  it('parks a box that was tampered with and a key that nobody knows', async () => {
    const tampered = (write: RecordWrite): RecordWrite => {
      const record = LogRecord.decode(write.value);
      const [facts] = record.parts;
      assert(facts);
      facts.box.writeUInt8(facts.box.readUInt8(facts.box.length - 1) ^ 1, facts.box.length - 1);
      return { ...write, value: LogRecord.encode(record).finish() };
    };
    await plant(tampered);
    const reasonOf = async () => {
      const { rows } = await sql<{ reason: string }>`
        select reason from parked_records order by sequence`.execute(db);
      return rows.map(({ reason }) => reason);
    };
    assert.deepEqual(await reasonOf(), ['TAMPERED', 'STREAM_PARKED']);
    // Another key store: nothing that is parked can be opened, and nothing is taken for erased.
    keys = createMemoryKeys();
    await replay();
    assert.deepEqual(await reasonOf(), ['KEY_UNKNOWN', 'STREAM_PARKED']);
  });

  it('replays nothing of an erased ticket, and pages its lists', async () => {
    const good = await plant(newer);
    await sql`update parked_records set record = ${Buffer.from(good.value)} where sequence = 1`.execute(
      db,
    );
    const tokens = await keys.tokens(acme);
    const scope = { kind: 'ticket', token: tokens.ticket('T-1') } as const;
    await db
      .transaction()
      .execute((tx) => raiseFences(tx, acme, [{ scope, incarnation: 1, cutOffMs: openedAtMs }]));
    assert.deepEqual(
      (await replay()).map(({ state, applied }) => [state, applied]),
      [[ReplayState.REPLAY_STATE_NOT_PARKED, 0n]],
    );
    assert.equal(await known(), 2);
    const ref = { ...zero, tenantId: 'acme', stream: tokens.ticket('T-1') };
    const first = await handlers().getParkedStream(
      GetParkedStreamRequest.create({ ref, pageSize: 1 }),
      call,
    );
    const { nextPageToken: pageToken } = first;
    const second = await handlers().getParkedStream(
      GetParkedStreamRequest.create({ ref, pageSize: 1, pageToken }),
      call,
    );
    assert.deepEqual(
      [...first.events, ...second.events].map(({ sequence }) => sequence),
      [1n, 3n],
    );
    assert.equal(second.nextPageToken, '');
    for (const pageToken of ['x', '-1', '9223372036854775808']) {
      const wrong = GetParkedStreamRequest.create({ ref, pageToken });
      await assert.rejects(handlers().getParkedStream(wrong, call), { reason: 'INVALID_FIELDS' });
    }
    const nowhere = { ...ref, partition: 2 ** 31 };
    const wrong = GetParkedStreamRequest.create({ ref: nowhere });
    await assert.rejects(handlers().getParkedStream(wrong, call), { reason: 'INVALID_FIELDS' });
    const ofNowhere = Buffer.from(ParkedStreamRef.encode(nowhere).finish()).toString('base64url');
    for (const pageToken of ['x', ofNowhere]) {
      const request = ListParkedStreamsRequest.create({ pageToken });
      const list = handlers().listParkedStreams(request, call);
      await assert.rejects(list, { reason: 'INVALID_FIELDS' });
    }
    for (const filter of [{ tenantId: 'bolt' }, { reason: 'TAMPERED' }, { stream: 'nothing' }]) {
      const none = await handlers().listParkedStreams(
        ListParkedStreamsRequest.create(filter),
        call,
      );
      assert.deepEqual([none.streams, none.streamsInAll], [[], 1n]);
    }
  });
});
