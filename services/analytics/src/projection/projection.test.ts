import assert from 'node:assert/strict';
import { sql } from 'kysely';
import type { Record as LogRecord } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { TenantId } from '@lethe/platform/ids/ids.ts';
import { recordWrite } from '@lethe/platform/testing/log-records.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { createLifespan, Killed } from '../testing/lifespan.ts';
import { createProjectionWorld, type ProjectionWorld } from '../testing/projection-world.ts';
import { sampleEvent } from '../testing/sample-events.ts';
import { sealRecord } from '../testing/sealed-records.ts';
import { committedSequences, insertedSequences } from './sequences.ts';

const { signal } = new AbortController();
const partitions = [
  ['tickets.v1', 0],
  ['tickets.v1', 3],
  ['usage.v1', 1],
] as const;

/** Records of one partition; nobody contributes to two partitions, so that accepted cells do not depend on turns. */
function recordsOf(world: ProjectionWorld, place: number, count: number, offset = 0): LogRecord[] {
  return Array.from({ length: count }, (_, step) => {
    const index = offset + step;
    return sealRecord(world.keys, {
      tenantId: (index % 3 === 0 ? 'bolt' : 'acme') as TenantId,
      ...sampleEvent(index),
      occurredAtMs: Date.UTC(2025, 4, 1 + (index % 40), (index + place) % 24),
      contributor: index % 7 === 0 ? undefined : `${place}00000000000000${index % 5}`,
    });
  });
}

async function fill(world: ProjectionWorld, count = 40): Promise<void> {
  for (const [place, [topic, partition]] of partitions.entries()) {
    await world.append(topic, partition, recordsOf(world, place, count));
  }
}

/** What an undisturbed run makes of the same records. */
async function undisturbed(name: string): Promise<Awaited<ReturnType<ProjectionWorld['cells']>>> {
  const world = await createProjectionWorld(name);
  await fill(world);
  const projection = await world.open();
  assert.equal(await world.drain(projection), 120);
  await projection.close();
  const cells = await world.cells();
  await world.destroy();
  return cells;
}

async function pendingManifests(world: ProjectionWorld): Promise<bigint> {
  const { rows } = await sql<{ pending: bigint }>`
    select count(*) as pending from chunk_manifests where state = 'pending'`.execute(world.db);
  return rows[0]?.pending ?? -1n;
}

const refusing = {
  insert: async () => {
    throw new ServiceError('STORE_UNAVAILABLE');
  },
};

describe('projection', () => {
  let world: ProjectionWorld;
  let expected: Awaited<ReturnType<ProjectionWorld['cells']>>;

  before(async function () {
    this.timeout(60_000);
    expected = await undisturbed('projection-expected');
    assert.ok(expected.size > 50);
    const columns = [...expected.values()].flatMap(Object.keys);
    for (const measure of ['exact_', 'late_', 'accepted_day_', 'accepted_week_']) {
      assert.ok(
        columns.some((column) => column.startsWith(measure)),
        measure,
      );
    }
  });

  beforeEach(async () => {
    world = await createProjectionWorld('projection');
  });

  afterEach(async () => {
    await world.destroy();
  });

  it('gives the same cells however the log is cut into chunks', async () => {
    await fill(world);
    const projection = await world.open({ recordsMax: 7 });
    assert.equal(await world.drain(projection), 120);
    assert.deepEqual(await world.cells(), expected);
    await projection.close();
  });

  it('stops a partition whose log ends before its checkpoint, also for the next reader of this process', async () => {
    await fill(world, 5);
    const first = await world.open();
    await world.drain(first);
    await first.close();
    await sql`update checkpoints set next_offset = next_offset + 1 where topic = 'usage.v1'`.execute(
      world.db,
    );
    const refused = new Map<string, string>();
    const problem = 'partition usage.v1/1 stopped: LOG_BEHIND_CHECKPOINT';
    await fill(world, 1);
    await sql`update checkpoints set next_offset = next_offset + 3 where topic = 'usage.v1'`.execute(
      world.db,
    );
    const second = await world.open({ refused });
    assert.equal(second.problem(), problem);
    assert.equal(await world.drain(second), 2);
    await second.close();
    // Past the checkpoint it would look like any log.
    await fill(world, 5);
    const third = await world.open({ refused });
    assert.equal(third.problem(), problem);
    assert.equal(await world.drain(third), 10);
    await third.close();
  });

  it('gives the same cells when it is killed between any two steps', async function () {
    this.timeout(60_000);
    await fill(world);
    const ends: number[] = [];
    let isDone = false;
    for (let steps = 0; !isDone; steps += 1) {
      const life = createLifespan(steps);
      try {
        const projection = await world.open({
          db: life.database(world.db),
          ledger: life.ledger(world.ledger),
          recordsMax: 30,
        });
        await world.drain(projection);
        isDone = true;
      } catch (error) {
        assert.ok(error instanceof Killed, String(error));
        ends.push(life.steps());
      }
    }
    // Every step of a life was the last one of some life.
    assert.deepEqual(ends, [...ends.keys()]);
    assert.ok(ends.length > 15);
    assert.equal(await pendingManifests(world), 0n);
    assert.deepEqual(await world.cells(), expected);
  });

  it('inserts the committed bytes after a crash, without the log or the keys', async () => {
    await fill(world);
    const dying = await world.open({ ledger: refusing });
    assert.equal(await dying.round(signal), 120);
    assert.equal(await pendingManifests(world), 1n);
    assert.equal((await world.cells()).size, 0);
    world.keys.refuse('acme' as TenantId, 'unknown_key');
    world.keys.refuse('bolt' as TenantId, 'unknown_key');
    const next = await world.open();
    assert.equal(await world.drain(next), 0);
    assert.deepEqual(await world.cells(), expected);
  });

  it('commits every chunk while the ledger refuses, and inserts them all once it takes them', async () => {
    await fill(world);
    let isAway = true;
    const ledger: Pick<Ledger, 'insert'> = {
      insert: async (rows) => (isAway ? refusing.insert() : world.ledger.insert(rows)),
    };
    const projection = await world.open({ recordsMax: 7, ledger });
    assert.equal(await world.drain(projection), 120);
    assert.ok((await pendingManifests(world)) > 10n);
    assert.equal((await world.cells()).size, 0);
    isAway = false;
    while ((await pendingManifests(world)) > 0n) await projection.round(signal);
    assert.deepEqual(await world.cells(), expected);
  });

  it('says what is committed and what is inserted apart', async () => {
    await fill(world);
    const ports = { db: world.db, eventLog: world.log };
    const dying = await world.open({ ledger: refusing });
    await dying.round(signal);
    assert.deepEqual(await committedSequences(ports, 'tickets.v1'), [40n, 0n, 0n, 40n, 0n, 0n]);
    const inserted = await insertedSequences(ports, ['tickets.v1', 'usage.v1']);
    assert.equal(inserted.get('tickets.v1/0'), 0n);
    assert.equal(inserted.get('usage.v1/1'), 0n);
    await world.drain(await world.open());
    const later = await insertedSequences(ports, ['tickets.v1', 'usage.v1']);
    assert.equal(later.get('tickets.v1/3'), 40n);
    assert.equal(later.get('tickets.v1/1'), 0n);
  });

  it('lets one of two owners of a partition win, and the other go on from there', async () => {
    await fill(world);
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
    let overtaken = false;
    const fast = await world.open({ recordsMax: 30 });
    await assert.rejects(slow.round(signal), { reason: 'CHECKPOINT_MOVED' });
    await world.drain(slow);
    await assert.rejects(fast.round(signal), { reason: 'CHECKPOINT_MOVED' });
    assert.equal(await world.drain(fast), 0);
    assert.deepEqual(await world.cells(), expected);
  });

  it('skips what it has committed when the log hands it out again', async () => {
    await fill(world);
    const projection = await world.open();
    await world.drain(projection);
    // As when offsets were lost, or the log was mirrored: the records come again at higher offsets.
    await sql`update checkpoints set next_offset = 0`.execute(world.db);
    const again = await world.open();
    assert.equal(await world.drain(again), 0);
    assert.deepEqual(await world.cells(), expected);
  });

  it('takes sequences that an erasure removed for consumed', async () => {
    const records = recordsOf(world, 0, 10);
    await world.appendRaw('tickets.v1', 0, 1n, records.slice(0, 4).map(recordWrite));
    await world.appendRaw('tickets.v1', 0, 7n, records.slice(6).map(recordWrite));
    world.owners['tickets.v1'].erased = [{ fromSequence: 5n, toSequence: 6n }];
    const projection = await world.open();
    assert.equal(await world.drain(projection), 8);
    assert.equal(projection.problem(), undefined);
    assert.deepEqual(
      (await committedSequences({ db: world.db, eventLog: world.log }, 'tickets.v1'))[0],
      10n,
    );
    const { rows } = await sql<{ first_sequence: bigint; last_sequence: bigint; records: number }>`
      select first_sequence, last_sequence, records from manifest_ranges order by 1`.execute(
      world.db,
    );
    assert.deepEqual(rows, [
      { first_sequence: 1n, last_sequence: 4n, records: 4 },
      { first_sequence: 5n, last_sequence: 10n, records: 4 },
    ]);
  });

  it('takes an end that an erasure removed for consumed once a tick tells of it', async () => {
    const records = recordsOf(world, 0, 4);
    await world.appendRaw('tickets.v1', 0, 1n, records.map(recordWrite));
    await world.appendRaw('tickets.v1', 0, 7n, [{ kind: 'tick', lastSequence: 6n }]);
    world.owners['tickets.v1'].erased = [{ fromSequence: 5n, toSequence: 6n }];
    const projection = await world.open();
    assert.equal(await world.drain(projection), 4);
    const ports = { db: world.db, eventLog: world.log };
    assert.equal((await committedSequences(ports, 'tickets.v1'))[0], 6n);
    assert.equal((await insertedSequences(ports, ['tickets.v1'])).get('tickets.v1/0'), 6n);
    assert.equal(projection.problem(), undefined);
  });

  it('stops a partition at a gap that nobody lists, loudly, and goes on with the others', async () => {
    const records = recordsOf(world, 0, 10);
    await world.appendRaw('tickets.v1', 0, 1n, records.slice(0, 4).map(recordWrite));
    await world.appendRaw('tickets.v1', 0, 7n, records.slice(6).map(recordWrite));
    world.owners['tickets.v1'].erased = [{ fromSequence: 5n, toSequence: 5n }];
    await world.append('tickets.v1', 3, recordsOf(world, 1, 10));
    const projection = await world.open();
    assert.equal(await world.drain(projection), 14);
    assert.match(projection.problem() ?? '', /tickets\.v1\/0 stopped: .* 6 /);
    await world.append('tickets.v1', 3, recordsOf(world, 1, 5, 10));
    assert.equal(await world.drain(projection), 5);
  });

  it('waits with everything while keys are away', async () => {
    await fill(world, 3);
    let isAway = true;
    const projection = await world.open({
      keyClient: {
        leaseForOpen: async (tenantId, requests) => {
          if (isAway) throw new ServiceError('KEYS_UNAVAILABLE');
          return world.keys.keyClient.leaseForOpen(tenantId, requests);
        },
      },
    });
    await assert.rejects(projection.round(signal), { reason: 'KEYS_UNAVAILABLE' });
    isAway = false;
    assert.equal(await world.drain(projection), 9);
    assert.equal(projection.problem(), undefined);
  });

  it('moves over tombstone records and ticks without a manifest', async () => {
    await fill(world, 2);
    const projection = await world.open();
    await world.drain(projection);
    const [record] = recordsOf(world, 0, 1);
    assert.ok(record?.header);
    await world.appendRaw('tickets.v1', 0, 3n, [
      { kind: 'tombstone', eventId: record.header.eventId },
      { kind: 'tick', lastSequence: 2n },
    ]);
    assert.equal(await world.drain(projection), 0);
    const { rows } = await sql<{ next_offset: bigint }>`
      select next_offset from checkpoints where topic = 'tickets.v1' and partition = 0`.execute(
      world.db,
    );
    assert.equal(rows[0]?.next_offset, (await world.log.endOffsets('tickets.v1'))[0]);
  });
});
