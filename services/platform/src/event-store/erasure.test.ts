import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { type Kysely, sql } from 'kysely';
import { PrivacyEvent } from '@lethe/proto/gen/lethe/privacy/v1/events.ts';
import { ErasureReceipt } from '@lethe/proto/gen/lethe/privacy/v1/service.ts';
import type { Peer } from '../grpc/handler.ts';
import type { ErasureId, EventId, TenantId } from '../ids/ids.ts';
import type { TokenMaker } from '../key-client/port.ts';
import { type Clock, systemClock } from '../lifecycle/clock.ts';
import { createLogger } from '../log/logger.ts';
import { createOutboxTables } from '../outbox/tables.ts';
import { createReceiptTables } from '../receipts/receipts.ts';
import { encodeScope } from '../sealing/scope-wire.ts';
import { createMemoryKeys, type MemoryFenced, type MemoryKeys } from '../testing/memory-keys.ts';
import { noteFamily, noteItem, openItem, visitFamily, visitItem } from '../testing/note-family.ts';
import { openTestDatabase } from '../testing/test-database.ts';
import { createEventStore, type EventStorePorts } from './append.ts';
import { createErasureEffect } from './erasure-effect.ts';
import { type ErasureJobPorts, runErasureRound } from './erasure-job.ts';
import { createLedgerWait, type LedgerWait } from './ledger-wait.ts';
import { previewErasure } from './erasure-preview.ts';
import { storeSequences } from './event-index.ts';
import { createEventStoreTables, type EventStoreSchema } from './tables.ts';

const acme = 'acme' as TenantId;
const atMs = Date.UTC(2026, 2, 2, 9);
const cutOffMs = atMs + 3_600_000;
const erasureId = '0198c1de-5f00-7abc-8def-00000000e001' as ErasureId;

describe('an erasure at an event owner', () => {
  let db: Kysely<EventStoreSchema>;
  let keys: MemoryKeys;
  let tokens: TokenMaker;
  let storePorts: EventStorePorts;
  /** What analytics says it has folded, by partition; undefined: it cannot be reached. */
  let folded: Map<number, bigint> | undefined;
  /** What of it is in no total. */
  let uncounted: readonly { readonly partition: number; readonly sequence: bigint }[];
  let moreUncounted: boolean;
  let nowMs: number;
  let upMs: number;
  let ledgerWait: LedgerWait;

  before(async function () {
    this.timeout(60_000);
    db = await openTestDatabase<EventStoreSchema>('event_store_erasure');
    await createEventStoreTables(db);
    await createOutboxTables(db);
    await createReceiptTables(db);
  });

  beforeEach(async () => {
    const tables = ['streams', 'event_index', 'records', 'person_boxes', 'fences', 'erasure_jobs'];
    const more = ['erasure_scopes', 'erasure_heads', 'outbox', 'erased_ranges', 'receipts'];
    for (const table of [...tables, ...more, 'partition_counters']) {
      await sql`delete from ${sql.table(table)}`.execute(db);
    }
    keys = createMemoryKeys();
    tokens = await keys.tokens(acme);
    folded = new Map();
    uncounted = [];
    moreUncounted = false;
    nowMs = atMs;
    upMs = 0;
    ledgerWait = createLedgerWait(clock);
    storePorts = { db, keys, clock: systemClock, randomBytes, partitions: 3, onEnqueued: () => {} };
  });

  const clock: Clock = { ...systemClock, nowMs: () => nowMs, monotonicMs: () => upMs };
  const analytics = {
    unary: async () => {
      if (folded === undefined) throw new RangeError('not reachable');
      return {
        partitions: [...folded].map(([partition, sequence]) => {
          const ofPartition = uncounted.filter((each) => each.partition === partition);
          return { partition, sequence, uncounted: ofPartition.map((each) => each.sequence) };
        }),
        moreUncounted,
      };
    },
  } as unknown as Peer;

  function jobPorts(family: ErasureJobPorts['family'] = noteFamily): ErasureJobPorts {
    const logger = createLogger({ service: 'test', level: 'silent' });
    const ignore = () => {};
    return { family, db, analytics, clock, logger, onEnqueued: ignore, onReceipt: ignore };
  }

  function open(ticket: string, requester: string) {
    return openItem(tokens, requester, { ticket, source: `${ticket}/0`, occurredAtMs: atMs });
  }

  function note(ticket: string, source: string, author: string) {
    return noteItem(tokens, author, { ticket, source, occurredAtMs: atMs + 60_000 });
  }

  /** Two tickets of u-1, one of u-2, where u-1 writes once. */
  async function appendSome(): Promise<void> {
    const store = createEventStore(noteFamily, storePorts);
    await store.append(acme, [
      open('T-1', 'u-1'),
      note('T-1', 'n1', 'a-1'),
      open('T-2', 'u-1'),
      open('T-3', 'u-2'),
      note('T-3', 'n2', 'u-1'),
      note('T-3', 'n3', 'a-1'),
    ]);
  }

  /** What a relay does: the next sequence to each record, then the outbox is empty. */
  async function publish(topic = 'tickets.v1'): Promise<void> {
    const { rows } = await sql<{ event_id: Buffer; partition: number; row_id: bigint }>`
      select event_id, partition, row_id from outbox where topic = ${topic} and kind = 1
      order by row_id`.execute(db);
    const heads = new Map<number, bigint>();
    const sequenced = rows.map((row) => {
      const sequence = (heads.get(row.partition) ?? 0n) + 1n;
      heads.set(row.partition, sequence);
      const hex = row.event_id.toString('hex');
      const eventId = hex.replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, '$1-$2-$3-$4-$5') as EventId;
      return { eventId, partition: row.partition, sequence };
    });
    await db.transaction().execute((tx) => storeSequences(tx, sequenced));
    await sql`delete from outbox`.execute(db);
    folded = heads;
  }

  async function tombstone(fenced: readonly MemoryFenced[]): Promise<void> {
    const scopes = fenced.map((one) => ({
      ...encodeScope(one.scope),
      incarnation: one.incarnation,
      cutOff: new Date(one.cutOffMs),
    }));
    const value = { erasureId, scopes, obligedServices: ['tickets'] };
    const event = PrivacyEvent.encode({ event: { $case: 'scopesErased', value } }).finish();
    const effect = createErasureEffect({ service: 'tickets', clock, onJob: () => {} });
    const header = { tenantId: acme, eventId: Buffer.alloc(16) };
    const record = { header, parts: [], clearPayload: Buffer.from(event), resealed: false };
    const from = { topic: 'privacy.v1', partition: 0 };
    const prepared = await effect.prepare(from, [
      { sequence: 1n, offset: 0n, record: record as never },
    ]);
    await db.transaction().execute((tx) => effect.apply(tx, prepared));
  }

  const erase = (person: string) =>
    tombstone(keys.fencePerson(acme, tokens.person(person), cutOffMs));

  async function phase(): Promise<string | undefined> {
    const row = await db.selectFrom('erasure_jobs').select('phase').executeTakeFirst();
    return row?.phase;
  }

  async function runToEnd(ports = jobPorts()): Promise<void> {
    while ((await runErasureRound(ports, ledgerWait)) === 'again');
  }

  async function receipt(): Promise<ErasureReceipt | undefined> {
    const { rows } = await sql<{ receipt: Buffer }>`select receipt from receipts`.execute(db);
    return rows[0] === undefined ? undefined : ErasureReceipt.decode(rows[0].receipt);
  }

  it('removes rows and records, keeps ids, and states what it did', async () => {
    await appendSome();
    await publish();
    await erase('u-1');
    await runToEnd();
    assert.equal(await phase(), 'done');
    const stated = await receipt();
    assert.equal(stated?.service, 'tickets');
    assert.equal(stated.records, 3n);
    assert.equal(stated.rows, 5n);
    assert.equal(stated.boxesUnreadable, 1n);
    assert.equal(stated.ledgerComplete, true);
    const streams = await db.selectFrom('streams').select('token').execute();
    assert.deepEqual(streams, [{ token: tokens.ticket('T-3') }]);
    assert.equal((await db.selectFrom('records').select('position').execute()).length, 3);
    const index = await db.selectFrom('event_index').selectAll().execute();
    assert.equal(index.length, 6);
    const detached = index.filter((row) => row.stream_token === null);
    assert.equal(detached.length, 3);
    for (const row of detached) assert.deepEqual([row.position, row.digest], [null, null]);
  });

  it('notes nothing of an erasure that is done when its event is published again', async () => {
    await appendSome();
    await publish();
    const fenced = keys.fencePerson(acme, tokens.person('u-1'), cutOffMs);
    await tombstone(fenced);
    await runToEnd();
    await tombstone(fenced);
    await runToEnd();
    assert.deepEqual(await db.selectFrom('erasure_scopes').selectAll().execute(), []);
    assert.equal((await receipt())?.records, 3n);
  });

  it('drops what the service has parked of the erased streams, in the same steps, and counts it', async () => {
    await appendSome();
    await publish();
    await erase('u-1');
    const asked: string[] = [];
    const dropParked: ErasureJobPorts['dropParked'] = async (_tx, tenantId, streams) => {
      assert.equal(tenantId, acme);
      asked.push(...streams.map(({ token }) => token));
      return 7;
    };
    await runToEnd({ ...jobPorts(), dropParked });
    assert.deepEqual(asked.toSorted(), [tokens.ticket('T-1'), tokens.ticket('T-2')].toSorted());
    assert.equal((await receipt())?.rows, 12n);
  });

  it('lists the erased sequences and hands tombstone records, then ticks, to the relay', async () => {
    await appendSome();
    await publish();
    const gone = await db
      .selectFrom('event_index')
      .select(['record_id', 'partition', 'sequence'])
      .where('stream_token', 'in', [tokens.ticket('T-1'), tokens.ticket('T-2')])
      .execute();
    await erase('u-1');
    await runToEnd();
    const { rows: ranges } = await sql<{ partition: number; from: bigint; to: bigint }>`
      select partition, first_sequence as from, last_sequence as to from erased_ranges`.execute(db);
    for (const row of gone) {
      const isListed = ranges.some(
        (range) =>
          range.partition === row.partition &&
          range.from <= (row.sequence ?? 0n) &&
          (row.sequence ?? 0n) <= range.to,
      );
      assert(isListed);
    }
    const { rows: handed } = await sql<{ kind: number; partition: number; id: string | null }>`
      select kind, partition, encode(event_id, 'hex') as id from outbox order by row_id`.execute(
      db,
    );
    const tombstones = handed.filter((row) => row.kind === 2);
    assert.deepEqual(
      new Set(tombstones.map((row) => row.id)),
      new Set(gone.map((row) => row.record_id.replaceAll('-', ''))),
    );
    const ticks = handed.slice(tombstones.length);
    assert(ticks.every((row) => row.kind === 3));
    assert.deepEqual(
      new Set(ticks.map((row) => row.partition)),
      new Set(gone.map((row) => row.partition)),
    );
  });

  it('owes each partition that got tombstone records another tick', async () => {
    await appendSome();
    await publish();
    await erase('u-1');
    const owed: number[] = [];
    const oweTicks: ErasureJobPorts['oweTicks'] = async (_tx, partitions) => {
      owed.push(...partitions);
    };
    await runToEnd({ ...jobPorts(), oweTicks });
    const { rows } = await sql<{ partition: number }>`
      select distinct partition from outbox where kind = 2`.execute(db);
    assert.deepEqual(new Set(owed), new Set(rows.map(({ partition }) => partition)));
    assert(owed.length > 0);
  });

  it('removes nothing before the relay has published what was pending', async () => {
    await appendSome();
    await erase('u-1');
    await runToEnd();
    assert.equal(await phase(), 'relay');
    await publish();
    await runToEnd();
    assert.equal(await phase(), 'done');
  });

  it('removes nothing before analytics has folded it, unless an hour has passed', async () => {
    await appendSome();
    await publish();
    await erase('u-1');
    for (const partition of folded?.keys() ?? []) folded?.set(partition, 0n);
    await runToEnd();
    assert.equal(await phase(), 'ledger');
    folded = undefined;
    await runToEnd();
    assert.equal(await phase(), 'ledger');
    assert.equal((await db.selectFrom('streams').select('token').execute()).length, 3);
    // The clock on the wall may jump: what analytics has not folded within a second is not lost to it.
    nowMs += 60 * 60 * 1000;
    await runToEnd();
    assert.equal(await phase(), 'ledger');
    upMs += 10 * 60 * 1000;
    await runToEnd();
    assert.equal((await receipt())?.ledgerComplete, false);
  });

  const passedOver = [
    { what: 'an event of another', ticket: 'T-3', more: false, complete: true },
    { what: 'one of theirs', ticket: 'T-1', more: false, complete: false },
    { what: 'more than it lists', ticket: 'T-3', more: true, complete: false },
  ];
  for (const { what, ticket, more, complete } of passedOver) {
    it(`says whether the ledger is complete when analytics passed over ${what}`, async () => {
      await appendSome();
      await publish();
      const { rows } = await sql<{ partition: number; sequence: bigint }>`
        select partition, sequence from event_index where stream_token = ${tokens.ticket(ticket)}
        order by position desc limit 1`.execute(db);
      uncounted = rows;
      moreUncounted = more;
      await erase('u-1');
      await runToEnd();
      assert.equal((await receipt())?.ledgerComplete, complete);
    });
  }

  it('stops at a privacy event that this version does not know: it may be an erasure', async () => {
    const effect = createErasureEffect({ service: 'tickets', clock, onJob: () => {} });
    const from = { topic: 'privacy.v1', partition: 0 };
    const prepare = async (clearPayload: Buffer, tenantId: string) =>
      effect.prepare(from, [
        { sequence: 7n, offset: 6n, record: { header: { tenantId }, clearPayload } as never },
      ]);
    const value = {
      erasureId,
      scopes: [
        {
          ...encodeScope({ kind: 'person', token: tokens.person('u-1') }),
          incarnation: 1,
          cutOff: undefined,
        },
      ],
      obligedServices: [],
    };
    const open = PrivacyEvent.encode({ event: { $case: 'scopesErased', value } }).finish();
    const later = Buffer.from('fa0700', 'hex');
    const unknown = { reason: 'EVENT_TYPE_UNKNOWN', message: /privacy\.v1 has an event at 7/ };
    await assert.rejects(prepare(later, acme), unknown);
    await assert.rejects(prepare(Buffer.from('ffff', 'hex'), acme), unknown);
    await assert.rejects(prepare(Buffer.from(open), ''), unknown);
    await assert.rejects(prepare(Buffer.from(open), acme), /without its cut-off/);
  });

  it('goes on with other erasures when one of them fails, and with those behind a page of waiting ones', async () => {
    await appendSome();
    await publish();
    await erase('u-1');
    // Waits for analytics for an hour, and is older.
    for (let index = 0; index < 25; index += 1) {
      const id = `0198c1de-5f00-7abc-8def-0000000000${10 + index}`;
      await sql`insert into erasure_jobs values ('zeta', ${id}::uuid, 'ledger', ${nowMs - 1}, 0, 0, 0, true)`.execute(
        db,
      );
      await sql`insert into erasure_heads values ('zeta', ${id}::uuid, 9, 1)`.execute(db);
    }
    // Has a phase that no version knows.
    await sql`insert into erasure_jobs values ('zeta', ${erasureId}::uuid, 'broken', 0, 0, 0, 0, true)`.execute(
      db,
    );
    let asked = 0;
    const counting = {
      unary: async (...call: Parameters<Peer['unary']>) => {
        asked += 1;
        return analytics.unary(...call);
      },
    } as unknown as Peer;
    const ports = { ...jobPorts(), analytics: counting };
    for (let round = 0; round < 9; round += 1) {
      const before = asked;
      await assert.rejects(runErasureRound(ports, ledgerWait), /phase/);
      assert.ok(asked <= before + 1, 'analytics is asked once a round');
    }
    const job = await db
      .selectFrom('erasure_jobs')
      .select('phase')
      .where('tenant_id', '=', acme)
      .executeTakeFirst();
    assert.equal(job?.phase, 'done');
  });

  it('answers with a receipt of zeros where the person left nothing', async () => {
    await tombstone([
      { scope: { kind: 'person', token: tokens.person('nobody') }, incarnation: 1, cutOffMs },
    ]);
    await runToEnd();
    const stated = await receipt();
    assert.deepEqual([stated?.records, stated?.rows, stated?.boxesUnreadable], [0n, 0n, 0n]);
  });

  it('goes on from any step at which the process died, to the same end', async () => {
    for (let dieAfter = 0; dieAfter < 7; dieAfter += 1) {
      await sql`delete from receipts`.execute(db);
      await appendSome();
      await publish();
      await erase('u-1');
      let rounds = 0;
      const dying = {
        ...jobPorts(),
        db: new Proxy(db, {
          get: (target, name, receiver) => {
            if (name === 'transaction' && ++rounds > dieAfter) throw new RangeError('killed');
            return Reflect.get(target, name, receiver) as unknown;
          },
        }),
      };
      await runToEnd(dying).catch(() => {});
      await runToEnd();
      const stated = await receipt();
      assert.deepEqual([stated?.records, stated?.rows, stated?.boxesUnreadable], [3n, 5n, 1n]);
      const tables = ['streams', 'event_index', 'records', 'person_boxes', 'fences'];
      for (const table of [...tables, 'erasure_jobs', 'outbox', 'erased_ranges']) {
        await sql`delete from ${sql.table(table)}`.execute(db);
      }
      keys = createMemoryKeys();
      storePorts = { ...storePorts, keys };
      tokens = await keys.tokens(acme);
    }
  });

  it('does the same twice when the tombstone event comes twice', async () => {
    await appendSome();
    await publish();
    const fenced = keys.fencePerson(acme, tokens.person('u-1'), cutOffMs);
    await tombstone(fenced);
    await tombstone(fenced);
    await runToEnd();
    await tombstone(fenced);
    await runToEnd();
    assert.equal((await receipt())?.records, 3n);
  });

  it('previews the numbers that the receipt states', async () => {
    await appendSome();
    await publish();
    const preview = previewErasure({ family: noteFamily, db });
    const fenced = keys.fencePerson(acme, tokens.person('u-1'), cutOffMs);
    const scopes = fenced.map(({ scope, incarnation }) => ({ ...encodeScope(scope), incarnation }));
    const request = { tenantId: acme, scopes: scopes };
    const call = {
      caller: { kind: 'service', service: 'privacy' },
      signal: new AbortController().signal,
    } as const;
    const said = await preview(request, call);
    assert.deepEqual([said.records, said.rows, said.boxesUnreadable], [3n, 5n, 1n]);
    const countParked = async (
      tenantId: string,
      streams: readonly { readonly token: string }[],
    ) => {
      assert.equal(tenantId, acme);
      const own = [tokens.ticket('T-1'), tokens.ticket('T-2')];
      assert.deepEqual(streams.map(({ token }) => token).toSorted(), own.toSorted());
      return 4n;
    };
    const parking = previewErasure({ family: noteFamily, db, countParked });
    assert.equal((await parking(request, call)).rows, 9n);
    assert.equal((await db.selectFrom('streams').select('token').execute()).length, 3);
    await tombstone(fenced);
    await runToEnd();
    const stated = await receipt();
    assert.deepEqual(
      [stated?.records, stated?.rows, stated?.boxesUnreadable],
      [said.records, said.rows, said.boxesUnreadable],
    );
  });

  it('leaves a person who came back alone', async () => {
    const store = createEventStore(visitFamily, storePorts);
    const visit = (source: string, occurredAtMs: number) =>
      visitItem(tokens, 'u-1', { source, occurredAtMs });
    await store.append(acme, [visit('v1', atMs), visit('v2', atMs + 1)]);
    await publish('usage.v1');
    const fenced = keys.fencePerson(acme, tokens.person('u-1'), cutOffMs);
    await tombstone(fenced);
    await store.append(acme, [visit('v3', cutOffMs + 1)]);
    await runToEnd(jobPorts(visitFamily));
    assert.equal((await receipt())?.records, 2n);
    const streams = await db.selectFrom('streams').select(['incarnation', 'position']).execute();
    assert.deepEqual(streams, [{ incarnation: 2, position: 1n }]);
    // The tombstone event again, as a restored consumer would see it.
    await tombstone(fenced);
    await runToEnd(jobPorts(visitFamily));
    assert.deepEqual(await db.selectFrom('streams').select(['incarnation', 'position']).execute(), [
      { incarnation: 2, position: 1n },
    ]);
  });
});
