import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import { Record as LogRecord } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import { raiseFences } from '@lethe/platform/event-store/fences.ts';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { LogWrite } from '@lethe/platform/event-log/port.ts';
import type { TenantId, Token } from '@lethe/platform/ids/ids.ts';
import { newUuid } from '@lethe/platform/ids/new-id.ts';
import type { KeyClient } from '@lethe/platform/key-client/port.ts';
import { systemClock } from '@lethe/platform/lifecycle/clock.ts';
import { type ReplayStep, replayStream } from '@lethe/platform/parking/replay.ts';
import type { ParkedStreamId } from '@lethe/platform/parking/store.ts';
import { recordWrite } from '@lethe/platform/testing/log-records.ts';
import { createLifespan, Killed } from '../testing/lifespan.ts';
import { createProjectionWorld, type ProjectionWorld } from '../testing/projection-world.ts';
import { sampleEvent } from '../testing/sample-events.ts';
import { sealRecord } from '../testing/sealed-records.ts';
import { analyticsParking } from './analytics-parking.ts';
import { finishPendingManifests } from './insert-manifests.ts';
import { countParkedEvents } from './parked-count.ts';
import { createReplayEffect, finishReplay } from './replay-effect.ts';
import { committedSequences, uncountedSequences } from './sequences.ts';

const { signal } = new AbortController();
const tickets = { topic: 'tickets.v1', partition: 0 } as const;
const acme = 'acme' as TenantId;
const cora = 'cora' as TenantId;

/** The stream of every fifth record is the one that poison holds. */
const streamOf = (index: number): string => `${index % 5}`.repeat(32);
const held = streamOf(2);

type RecordWrite = Extract<LogWrite, { kind: 'record' }>;

function recordAt(world: ProjectionWorld, index: number, changes: object = {}): LogRecord {
  return sealRecord(world.keys, {
    tenantId: index === 12 ? cora : acme,
    // Of those that are counted.
    ...sampleEvent((index * 8) % 7 === 3 ? 0 : index % 7),
    occurredAtMs: Date.UTC(2025, 4, 1 + (index % 20), index % 24),
    contributor: `0000000000000${String(index).padStart(3, '0')}`,
    stream: streamOf(index),
    ...changes,
  });
}

/** Records 1 to 25 of a partition; 13 is of a tenant of its own and of the held stream, with 18 and 23 behind it. */
const count = 25;
const spoiledAt = 12;

function writesOf(world: ProjectionWorld, from = 0, to = count): RecordWrite[] {
  return Array.from({ length: to - from }, (_, step) => recordWrite(recordAt(world, from + step)));
}

async function parkedRows(world: ProjectionWorld) {
  const { rows } = await sql<{ sequence: bigint; reason: string; stream: string }>`
    select sequence, reason, stream from parked_records order by topic, partition, sequence`.execute(
    world.db,
  );
  return rows;
}

function replayPorts(
  world: ProjectionWorld,
  parts: { db?: ProjectionWorld['db']; ledger?: Pick<ProjectionWorld['ledger'], 'insert'> } = {},
) {
  const { db = world.db, ledger = world.ledger } = parts;
  const createManifestId = () => newUuid(systemClock, randomBytes);
  const { keyClient } = world.keys;
  const effect = createReplayEffect({
    db,
    ledger,
    keyClient,
    clock: systemClock,
    createManifestId,
  });
  return {
    db,
    effect,
    clock: systemClock,
    parking: analyticsParking,
    finish: async (prepared: Parameters<typeof finishReplay>[1]) =>
      finishReplay({ db, ledger }, prepared),
  };
}

async function replay(
  ports: ReturnType<typeof replayPorts> & { batchMax?: number },
  id: ParkedStreamId,
): Promise<ReplayStep | undefined> {
  let last: ReplayStep | undefined;
  for await (const step of replayStream(ports, id, signal)) last = step;
  return last;
}

function tamper(value: Uint8Array): Uint8Array {
  const changed = Buffer.from(value);
  // Within the facts box, which is the first part: the last byte of the record belongs to another.
  const at = changed.indexOf('facts') + 60;
  changed[at] = (changed[at] ?? 0) ^ 1;
  return changed;
}

function withHeader(write: RecordWrite, change: object): RecordWrite {
  const record = LogRecord.decode(write.value);
  assert.ok(record.header);
  const header = { ...record.header, ...change };
  return { ...write, value: LogRecord.encode({ ...record, header }).finish() };
}

interface PoisonKind {
  readonly what: string;
  readonly reason: string;
  readonly spoil: (write: RecordWrite) => RecordWrite;
  /** The record does not say its stream: nothing can follow it. */
  readonly isAlone?: boolean;
}

const kinds: readonly PoisonKind[] = [
  {
    what: 'a tampered box',
    reason: 'TAMPERED',
    spoil: (write) => ({ ...write, value: tamper(write.value) }),
  },
  {
    what: 'bytes that are no record',
    reason: 'RECORD_MALFORMED',
    spoil: (write) => ({ ...write, value: Buffer.from('ffff', 'hex') }),
    isAlone: true,
  },
  {
    what: 'a record without header',
    reason: 'RECORD_MALFORMED',
    spoil: (write) => ({ ...write, value: new Uint8Array() }),
    isAlone: true,
  },
  {
    what: 'a record under the key of another',
    reason: 'RECORD_KEY_WRONG',
    spoil: (write) => ({ ...write, eventId: Buffer.alloc(16, 9) }),
  },
  {
    what: 'a newer schema version',
    reason: 'RECORD_NEWER',
    spoil: (write) => withHeader(write, { schemaVersion: 2 }),
  },
  {
    what: 'an event type of a newer version',
    reason: 'EVENT_TYPE_UNKNOWN',
    spoil: (write) => withHeader(write, { type: 'TicketDreamed' }),
  },
  {
    what: 'a tenant id that is none',
    reason: 'TAMPERED',
    spoil: (write) => withHeader(write, { tenantId: 'NOT a tenant' }),
    isAlone: true,
  },
];

describe('parking of the projection', function () {
  this.timeout(60_000);
  let world: ProjectionWorld;
  let expected: Awaited<ReturnType<ProjectionWorld['cells']>>;
  before(async () => {
    const whole = await createProjectionWorld('parking-expected');
    await whole.appendRaw('tickets.v1', 0, 1n, writesOf(whole));
    const projection = await whole.open();
    assert.equal(await whole.drain(projection), count);
    await projection.close();
    expected = await whole.cells();
    assert.ok(expected.size > 10);
    await whole.destroy();
  });

  beforeEach(async () => {
    world = await createProjectionWorld('parking');
  });

  afterEach(async () => {
    await world.destroy();
  });

  /** Plants one poison record, drains, and answers the record as it should have been. */
  async function plant(spoil: PoisonKind['spoil'], recordsMax = 7): Promise<RecordWrite> {
    const writes = writesOf(world);
    const good = writes[spoiledAt];
    assert.ok(good);
    const spoiled = writes.map((write) => (write === good ? spoil(good) : write));
    await world.appendRaw('tickets.v1', 0, 1n, spoiled);
    const projection = await world.open({ recordsMax });
    assert.equal(await world.drain(projection), count);
    assert.equal(projection.problem(), undefined);
    await projection.close();
    return good;
  }

  /** What an upgrade or a restored store does to a parked record. */
  async function mend(good: RecordWrite): Promise<void> {
    await sql`update parked_records set record = ${Buffer.from(good.value)},
      record_key = ${Buffer.from(good.eventId)} where sequence = ${BigInt(spoiledAt + 1)}`.execute(
      world.db,
    );
  }

  async function onlyStream(): Promise<ParkedStreamId> {
    const { rows } = await sql<ParkedStreamId & { tenantId: string }>`
      select topic, partition, tenant_id as "tenantId", stream from parked_streams`.execute(
      world.db,
    );
    assert.equal(rows.length, 1);
    const [id] = rows;
    assert.ok(id);
    return id;
  }

  for (const { what, reason, spoil, isAlone = false } of kinds) {
    it(`parks ${what}, and the ledger is whole once it is mended and replayed`, async () => {
      const good = await plant(spoil);
      const rows = await parkedRows(world);
      assert.deepEqual(
        rows.map(({ sequence, reason: why }) => [sequence, why]),
        [[13n, reason]],
      );
      assert.equal(rows[0]?.stream.startsWith('record-'), isAlone);
      assert.equal(await countParkedEvents(world.db), 1n);
      const ports = { db: world.db, eventLog: world.log };
      assert.equal((await committedSequences(ports, 'tickets.v1'))[0], 25n);
      assert.notDeepEqual(await world.cells(), expected);
      const id = await onlyStream();
      const again = await replay(replayPorts(world), id);
      assert.deepEqual(again, { state: 'still_parked', applied: 0, reason, sequence: 13n });
      await mend(good);
      assert.equal((await replay(replayPorts(world), id))?.state, 'done');
      assert.deepEqual(await world.cells(), expected);
      assert.equal(await countParkedEvents(world.db), 0n);
      assert.equal((await replay(replayPorts(world), id))?.state, 'not_parked');
    });
  }

  it('parks what no key is known for, and what is of a tenant that does not exist', async () => {
    await world.appendRaw('tickets.v1', 0, 1n, writesOf(world));
    const lacking = (fail: () => Awaited<ReturnType<KeyClient['leaseForOpen']>>) => ({
      leaseForOpen: async (...[tenantId, requests]: Parameters<KeyClient['leaseForOpen']>) =>
        tenantId === cora ? fail() : world.keys.keyClient.leaseForOpen(tenantId, requests),
    });
    const strange = lacking(() => {
      throw new ServiceError('TENANT_UNKNOWN');
    });
    assert.equal(await world.drain(await world.open({ keyClient: strange })), count);
    assert.deepEqual(
      (await parkedRows(world)).map(({ sequence, reason }) => [sequence, reason]),
      [[13n, 'TENANT_UNKNOWN']],
    );
    const id = await onlyStream();
    world.keys.refuse(cora, 'unknown_key');
    const again = await replay(replayPorts(world), id);
    assert.equal(again?.state === 'still_parked' && again.reason, 'KEY_UNKNOWN');
    assert.equal((await parkedRows(world))[0]?.reason, 'KEY_UNKNOWN');
    world.keys.refuse(cora, undefined);
    assert.equal((await replay(replayPorts(world), id))?.state, 'done');
    assert.deepEqual(await world.cells(), expected);
  });

  /** Poison at the head of a stream of acme, with others behind it in other chunks. */
  async function plantHead(): Promise<RecordWrite> {
    const writes = writesOf(world);
    const good = writes[2];
    assert.ok(good);
    await world.appendRaw('tickets.v1', 0, 1n, [
      ...writes.slice(0, 2),
      { ...good, value: tamper(good.value) },
      ...writes.slice(3),
    ]);
    return good;
  }
  const mendHead = async (good: RecordWrite): Promise<void> => {
    await sql`update parked_records set record = ${Buffer.from(good.value)} where sequence = 3`.execute(
      world.db,
    );
  };

  it('puts later events of the stream behind, in order, and lets other streams go on', async () => {
    const good = await plantHead();
    const projection = await world.open({ recordsMax: 7 });
    assert.equal(await world.drain(projection), count);
    // 13 is of the same stream token and another tenant: it goes on.
    const rows = await parkedRows(world);
    assert.deepEqual(
      rows.map(({ sequence, reason }) => [sequence, reason]),
      [
        [3n, 'TAMPERED'],
        [8n, 'STREAM_PARKED'],
        [18n, 'STREAM_PARKED'],
        [23n, 'STREAM_PARKED'],
      ],
    );
    assert.ok(rows.every(({ stream }) => stream === held));
    // Ranges stay free of gaps, and say what they passed over.
    const { rows: ranges } = await sql<{ covered: bigint; folded: bigint }>`
      select sum(last_sequence - first_sequence + 1)::int8 as covered, sum(records)::int8 as folded
      from manifest_ranges`.execute(world.db);
    assert.deepEqual(ranges[0], { covered: 25n, folded: 21n });
    const newest = { partition: 0, sequence: 23n };
    assert.deepEqual(await uncountedSequences(world.db, 'tickets.v1', 1), [newest]);
    await mendHead(good);
    const id = await onlyStream();
    assert.equal((await replay({ ...replayPorts(world), batchMax: 3 }, id))?.state, 'done');
    assert.deepEqual(await world.cells(), expected);
    const { rows: skips } = await sql<{ skipped: bigint; manifests: bigint }>`
      select count(*) as skipped, count(distinct folded_by) as manifests from manifest_skips
      where folded_by is not null`.execute(world.db);
    assert.deepEqual(skips[0], { skipped: 4n, manifests: 2n });
    assert.deepEqual(await uncountedSequences(world.db, 'tickets.v1', 10), []);
    // What comes later is not parked any more.
    await world.appendRaw('tickets.v1', 0, 26n, writesOf(world, 27, 28));
    assert.equal(await world.drain(projection), 1);
    assert.deepEqual(await parkedRows(world), []);
  });

  it('goes on in order behind a record in the middle that fails again', async () => {
    const good = await plantHead();
    await world.drain(await world.open());
    await mendHead(good);
    await sql`update parked_records set record = ${Buffer.from('ffff', 'hex')} where sequence = 18`.execute(
      world.db,
    );
    const id = await onlyStream();
    assert.deepEqual(await replay(replayPorts(world), id), {
      state: 'still_parked',
      applied: 2,
      reason: 'RECORD_MALFORMED',
      sequence: 18n,
    });
    assert.deepEqual(
      (await parkedRows(world)).map(({ sequence, reason }) => [sequence, reason]),
      [
        [18n, 'RECORD_MALFORMED'],
        [23n, 'STREAM_PARKED'],
      ],
    );
  });

  it('is seen by a second owner, also one that planned before the stream was parked', async () => {
    await plantHead();
    let overtaken = false;
    const slow = await world.open({
      recordsMax: 50,
      keyClient: {
        leaseForOpen: async (tenantId, requests) => {
          if (!overtaken) {
            overtaken = true;
            await fast.round(signal);
          }
          return world.keys.keyClient.leaseForOpen(tenantId, requests);
        },
      },
    });
    const fast = await world.open({ recordsMax: 4 });
    await assert.rejects(slow.round(signal), { reason: 'CHECKPOINT_MOVED' });
    await world.drain(slow);
    assert.deepEqual(
      (await parkedRows(world)).map(({ sequence }) => sequence),
      [3n, 8n, 18n, 23n],
    );
  });

  it('takes a stream for free once a replay has emptied it, however long ago it looked', async () => {
    const good = await plantHead();
    const projection = await world.open({ recordsMax: 10 });
    await projection.round(signal);
    await mendHead(good);
    assert.equal((await replay(replayPorts(world), await onlyStream()))?.state, 'done');
    await world.drain(projection);
    assert.deepEqual(await parkedRows(world), []);
    assert.deepEqual(await world.cells(), expected);
  });

  it('gives the same cells when projection and replay are killed between any two steps', async () => {
    const good = await plantHead();
    const ends: number[] = [];
    let isDone = false;
    let isMended = false;
    for (let steps = 0; !isDone; steps += 1) {
      const life = createLifespan(steps);
      const parts = { db: life.database(world.db), ledger: life.ledger(world.ledger) };
      try {
        const projection = await world.open({ ...parts, recordsMax: 12 });
        await world.drain(projection);
        if (!isMended) await mendHead(good);
        isMended = true;
        const ports = { ...replayPorts(world, parts), batchMax: 2 };
        const id = { ...tickets, tenantId: acme, stream: held };
        await replay(ports, id);
        isDone = true;
      } catch (error) {
        assert.ok(error instanceof Killed, String(error));
        ends.push(life.steps());
      }
    }
    assert.ok(ends.length > 25);
    await finishPendingManifests({ db: world.db, ledger: world.ledger });
    assert.deepEqual(await parkedRows(world), []);
    assert.deepEqual(await world.cells(), expected);
  });

  it('counts what a replay has committed and not inserted among the missing', async () => {
    const good = await plantHead();
    await world.drain(await world.open());
    await mendHead(good);
    const refusing = {
      insert: async () => {
        throw new ServiceError('STORE_FULL');
      },
    };
    const ports = replayPorts(world, { ledger: refusing });
    await assert.rejects(replay(ports, await onlyStream()), { reason: 'STORE_FULL' });
    assert.equal(await countParkedEvents(world.db, acme), 4n);
    assert.equal(await countParkedEvents(world.db), 4n);
    await finishPendingManifests({ db: world.db, ledger: world.ledger });
    assert.equal(await countParkedEvents(world.db), 0n);
    assert.deepEqual(await world.cells(), expected);
  });

  it('says how much a tenant may lack, with what nobody can tell a tenant of', async () => {
    const [good] = writesOf(world, 0, 1);
    assert.ok(good);
    await plantHead();
    const nobodys = { ...good, eventId: Buffer.alloc(16, 3), value: Buffer.from('ffff', 'hex') };
    await world.appendRaw('usage.v1', 0, 1n, [nobodys]);
    await world.drain(await world.open());
    assert.equal(await countParkedEvents(world.db, acme), 5n);
    assert.equal(await countParkedEvents(world.db, cora), 1n);
    assert.equal(await countParkedEvents(world.db), 5n);
  });

  it('parks nothing of an erased stream, and counts what is good of it', async () => {
    await plantHead();
    const fence = {
      scope: { kind: 'ticket', token: held as Token },
      incarnation: 1,
      cutOffMs: 0,
    } as const;
    await world.db.transaction().execute(async (tx) => raiseFences(tx, acme, [fence]));
    const projection = await world.open({ recordsMax: 7 });
    assert.equal(await world.drain(projection), count);
    assert.deepEqual(await parkedRows(world), []);
    const { rows } = await sql<{ sequence: bigint }>`select sequence from manifest_skips`.execute(
      world.db,
    );
    assert.deepEqual(rows, [{ sequence: 3n }]);
    assert.deepEqual(await uncountedSequences(world.db, 'tickets.v1', 10), [
      { partition: 0, sequence: 3n },
    ]);
    assert.deepEqual(await uncountedSequences(world.db, 'usage.v1', 10), []);
  });

  it('replays nothing of an erased stream', async () => {
    const good = await plantHead();
    await world.drain(await world.open());
    await mendHead(good);
    const before = await world.cells();
    const fence = {
      scope: { kind: 'ticket', token: held as Token },
      incarnation: 1,
      cutOffMs: 0,
    } as const;
    await world.db.transaction().execute(async (tx) => raiseFences(tx, acme, [fence]));
    assert.equal((await replay(replayPorts(world), await onlyStream()))?.state, 'not_parked');
    assert.deepEqual(await world.cells(), before);
  });

  it('drops a parked record, one without a stream too, when its tombstone record comes', async () => {
    const good = await plant((write) => ({ ...write, value: Buffer.from('ffff', 'hex') }));
    await world.appendRaw('tickets.v1', 0, 26n, [{ kind: 'tombstone', eventId: good.eventId }]);
    await world.drain(await world.open());
    assert.deepEqual(await parkedRows(world), []);
    assert.equal(await countParkedEvents(world.db), 0n);
  });

  it('stops a partition at the hundredth poison event in a row, and a restart does not drain it', async () => {
    const rows = Array.from({ length: 130 }, (_, index) => {
      const write = recordWrite(recordAt(world, index, { stream: newStream(index) }));
      return index >= 10 && index < 120 ? { ...write, value: tamper(write.value) } : write;
    });
    await world.appendRaw('tickets.v1', 0, 1n, rows);
    await world.append('usage.v1', 2, [recordAt(world, 1)]);
    for (const recordsMax of [1_000, 9]) {
      const projection = await world.open({ recordsMax });
      await world.drain(projection);
      assert.match(projection.problem() ?? '', /tickets\.v1\/0 stopped: POISON_LIMIT: .* 110 /);
      assert.equal((await parkedRows(world)).length, 99);
      await projection.close();
    }
    const ports = { db: world.db, eventLog: world.log };
    assert.equal((await committedSequences(ports, 'tickets.v1'))[0], 109n);
    assert.equal((await committedSequences(ports, 'usage.v1'))[2], 1n);
  });
});

function newStream(index: number): string {
  return index.toString(16).padStart(32, 'f');
}
