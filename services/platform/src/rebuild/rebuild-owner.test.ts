import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { type Kysely, type KyselyPlugin, sql } from 'kysely';
import { withLockSession } from '../database/lock-session.ts';
import { SharedConnectionAdapter } from '../database/pglite.ts';
import { RebuildPhase } from '@lethe/proto/gen/lethe/rebuild/v1/service.ts';
import { ServiceError } from '../errors/service-error.ts';
import type { EventStoreSchema } from '../event-store/tables.ts';
import type { EventLog } from '../event-log/port.ts';
import type { KeyClient } from '../key-client/port.ts';
import { sealValue } from '../sealing/value.ts';
import { noteItem, openItem } from '../testing/note-family.ts';
import { createFreshTables, hasWork } from './fresh-tables.ts';
import { createRebuildLeftovers, removeRebuildWork } from './leftovers.ts';
import { type OwnerRebuildPorts, type OwnerRebuildReport, rebuildOwner } from './rebuild-owner.ts';
import { acme, createOwnerWorld, type OwnerWorld, wish } from './testing/owner-world.ts';

const atMs = Date.UTC(2026, 2, 2, 9);

describe('the rebuild of an event owner', () => {
  let world: OwnerWorld;

  beforeEach(async function () {
    this.timeout(60_000);
    world = await createOwnerWorld('rebuild_owner');
  });

  afterEach(async () => world.close());

  function open(ticket: string, requester: string) {
    return openItem(world.tokens, requester, { ticket, source: `${ticket}/0`, occurredAtMs: atMs });
  }

  function note(ticket: string, source: string, author: string) {
    return noteItem(world.tokens, author, { ticket, source, occurredAtMs: atMs + 60_000 });
  }

  /** Three tickets of two requesters, with milestones, and a requester who writes in another's ticket. */
  async function appendSome(): Promise<void> {
    await world.store.append(acme, [open('T-1', 'u-1'), note('T-1', 'n1', 'a-1')]);
    await world.store.append(acme, [open('T-2', 'u-1'), open('T-3', 'u-2')]);
    await world.store.append(acme, [
      note('T-3', 'n2', 'u-1'),
      note('T-3', 'n3', 'a-1'),
      note('T-3', 'n4', 'a-2'),
      note('T-1', 'n5', 'u-1'),
    ]);
  }

  function rebuild(
    parts: Parameters<typeof wish>[0] = {},
    ports: OwnerRebuildPorts<{ readonly notes: number }> = world.ports,
  ): Promise<OwnerRebuildReport> {
    return rebuildOwner(ports, wish(parts));
  }

  /** Runs `action` once, outside of any transaction, when the states are about to be folded. */
  function beforeFold(action: () => Promise<void>) {
    let isDone = false;
    const leaseForOpen: KeyClient['leaseForOpen'] = async (tenantId, requests) => {
      if (!isDone) {
        isDone = true;
        await action();
      }
      return world.keys.leaseForOpen(tenantId, requests);
    };
    return { ...world.ports, keys: { ...world.keys, leaseForOpen } };
  }

  /** Runs `action` once before the log is read, when changes are noted already. */
  function beforeReading(action: () => Promise<void>) {
    const openReader: EventLog['openReader'] = async (options) => {
      await action();
      return world.log.openReader(options);
    };
    const { log } = world;
    const eventLog: EventLog = {
      openReader,
      openWriter: (at) => log.openWriter(at),
      partitionsOf: (topic) => log.partitionsOf(topic),
      endOffsets: (topic) => log.endOffsets(topic),
      close: () => log.close(),
    };
    return { ...world.ports, eventLog };
  }

  /** Rows with a person's token, but for records of others' tickets, whose list of parts names all its persons. */
  async function rowsNaming(person: string): Promise<readonly string[]> {
    const rows = await world.rows();
    const token = world.tokens.person(person);
    return rows.filter((row) => !row.startsWith('records') && row.includes(token));
  }

  it('gives the live tables row for row, indexes and constraints included', async () => {
    await appendSome();
    await world.relay();
    const [rows, names] = [await world.rows(), await world.names()];
    const report = await rebuild();
    assert.equal(report.differences.total, 0);
    assert.equal(report.swapped, true);
    // Nothing was taken from the live tables: all of it came from the log.
    assert.equal(report.changed, 0);
    assert.equal(report.recordsRead, 9);
    assert.equal(report.streamsFolded, 3);
    assert.deepEqual(await world.rows(), rows);
    assert.deepEqual(await world.names(), names);
    assert.ok(report.counts.every(({ live, fresh }) => live === fresh && live > 0));
  });

  it('goes on appending, relaying and answering duplicates after a swap', async () => {
    await appendSome();
    await world.relay();
    await rebuild();
    const [again, more] = await world.store.append(acme, [
      note('T-1', 'n1', 'a-1'),
      note('T-1', 'n9', 'a-1'),
    ]);
    assert.equal(again?.outcome, 'duplicate');
    assert.deepEqual(more, { outcome: 'accepted', position: 4 });
    await world.relay();
    const report = await rebuild({ checkOnly: true });
    assert.equal(report.differences.total, 0);
    assert.equal(report.swapped, false);
  });

  it('equals the live tables after any history', async function () {
    this.timeout(60_000);
    const step = fc.record({
      ticket: fc.integer({ min: 0, max: 5 }),
      person: fc.integer({ min: 0, max: 3 }),
      isRelayed: fc.boolean(),
    });
    let count = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
        for (const { ticket, person, isRelayed } of steps) {
          count += 1;
          await world.store.append(acme, [
            open(`H-${ticket}`, `u-${ticket % 2}`),
            note(`H-${ticket}`, `h${count}`, `u-${person}`),
          ]);
          if (isRelayed) await world.relay();
        }
        const rows = await world.rows();
        const report = await rebuild();
        assert.equal(report.differences.total, 0);
        assert.deepEqual(await world.rows(), rows);
      }),
      { numRuns: 12 },
    );
  });

  describe('a row that was altered by hand', () => {
    const alterations: Readonly<Record<string, { alter: string; table: string; what: string }>> = {
      'the position of a stream': {
        alter: `update streams set position = position + 1 where position = 1`,
        table: 'streams',
        what: 'position',
      },
      'a state': {
        alter: `update streams set state = set_byte(state, 40, get_byte(state, 40) # 1) where position = 1`,
        table: 'streams',
        what: 'state',
      },
      'the key id of a state': {
        alter: `update streams set state = set_byte(state, 3, get_byte(state, 3) # 1) where position = 1`,
        table: 'streams',
        what: 'state',
      },
      'a state that is gone': {
        alter: `update streams set state = null where position = 1`,
        table: 'streams',
        what: 'state',
      },
      'a sequence': {
        alter: `update event_index set sequence = sequence + 70 where position = 2`,
        table: 'event_index',
        what: 'sequence',
      },
      'a record': {
        alter: `update records set record = '\\x00' where position = 1`,
        table: 'records',
        what: 'record',
      },
      'a count of boxes': {
        alter: `update person_boxes set boxes = boxes + 1`,
        table: 'person_boxes',
        what: 'boxes',
      },
      'a record that is gone': {
        alter: `delete from records where position = 1`,
        table: 'records',
        what: 'missing in the live table',
      },
      'an index row that is gone': {
        alter: `delete from event_index where position = 2`,
        table: 'event_index',
        what: 'missing in the live table',
      },
      'a record that never was': {
        alter: `insert into records select tenant_id, stream_token, 1, 900, record from records limit 1`,
        table: 'records',
        what: 'not on the log',
      },
    };

    for (const [name, { alter, table, what }] of Object.entries(alterations)) {
      it(`is found and named, and stops the swap: ${name}`, async () => {
        await appendSome();
        await world.relay();
        await sql.raw(alter).execute(world.db);
        const rows = await world.rows();
        const report = await rebuild();
        assert.equal(report.swapped, false);
        assert.ok(report.differences.total > 0);
        for (const difference of report.differences.first) {
          assert.equal(difference.table, table);
          assert.ok([difference.kind, ...difference.columns].includes(what), difference.kind);
          assert.match(difference.row, /^(acme\/[0-9a-f]{32}\/|[0-9a-f-]{36}$)/);
        }
        assert.deepEqual(await world.rows(), rows);
      });
    }

    it('is found when a state says something else, sealed as it should be', async () => {
      await appendSome();
      await world.relay();
      const streamToken = world.tokens.ticket('T-2');
      const scope = { kind: 'ticket', token: streamToken } as const;
      const [lease] = await world.keys.leaseForSeal(acme, [{ scope }]);
      assert.ok(lease?.granted === true);
      const binding = { tenantId: acme, name: 'note-state', streamToken, version: 1 };
      const box = sealValue(lease, binding, Buffer.from('{"notes":99}'), randomBytes);
      await sql`update streams set state = ${box} where token = ${streamToken}`.execute(world.db);
      const report = await rebuild();
      assert.equal(report.swapped, false);
      assert.deepEqual(
        report.differences.first.map(({ columns }) => columns),
        [['state']],
      );
    });

    it('is mended when differences are accepted, and the ticket goes on', async () => {
      await appendSome();
      await world.relay();
      const before = await world.rows();
      await sql`update streams set state = null, position = 7 where position = 1`.execute(world.db);
      const report = await rebuild({ acceptDifferences: true });
      assert.equal(report.swapped, true);
      assert.equal(report.differences.total, 1);
      // Sealed anew, under a version of its own; all else is as it was.
      const after = await world.rows();
      assert.equal(before.filter((row) => !after.includes(row)).length, 1);
      assert.equal((await rebuild({ checkOnly: true })).differences.total, 0);
      const answers = await world.store.append(acme, [note('T-2', 'n20', 'a-1')]);
      assert.deepEqual(answers, [{ outcome: 'accepted', position: 2 }]);
    });

    it('takes no event a second time when its index row had to come from the log', async () => {
      await appendSome();
      await world.relay();
      await sql`delete from event_index where position = 2 and stream_token = ${world.tokens.ticket('T-1')}`.execute(
        world.db,
      );
      const mended = await rebuild({ acceptDifferences: true });
      assert.deepEqual([mended.differences.total, mended.swapped], [1, true]);
      const [answer] = await world.store.append(acme, [note('T-1', 'n1', 'a-1')]);
      assert.equal(answer?.outcome, 'duplicate');
    });
  });

  describe('while events come in', () => {
    it('has what was appended and relayed before the log was read', async () => {
      await appendSome();
      await world.relay();
      const ports = beforeReading(async () => {
        await world.store.append(acme, [open('T-9', 'u-9'), note('T-1', 'n90', 'a-1')]);
        await world.relay();
      });
      const report = await rebuild({}, ports);
      assert.equal(report.swapped, true);
      const rows = await world.rows();
      assert.ok(rows.some((row) => row.includes(world.tokens.ticket('T-9'))));
      assert.equal((await rebuild({ checkOnly: true })).differences.total, 0);
    });

    it('has what was appended after the log was read, relayed or not', async () => {
      await appendSome();
      await world.relay();
      const ports = beforeFold(async () => {
        await world.store.append(acme, [open('T-9', 'u-9'), note('T-1', 'n90', 'a-1')]);
        await world.relay();
        await world.store.append(acme, [note('T-9', 'n91', 'a-1'), open('T-10', 'u-9')]);
      });
      const report = await rebuild({}, ports);
      assert.equal(report.swapped, true);
      assert.ok(report.changed > 0);
      const answers = await world.store.append(acme, [
        note('T-9', 'n91', 'a-1'),
        note('T-10', 'n92', 'a-1'),
        note('T-1', 'n90', 'a-1'),
      ]);
      assert.deepEqual(
        answers.map(({ outcome }) => outcome),
        ['duplicate', 'accepted', 'duplicate'],
      );
      await world.relay();
      const again = await rebuild({ checkOnly: true });
      assert.equal(again.differences.total, 0);
      assert.equal(again.changed, 0);
    });

    it('goes on beside appends, relays and erasures at the same time, again and again', async function () {
      this.timeout(120_000);
      await appendSome();
      await world.relay();
      let isOver = false;
      const writing = (async () => {
        for (let round = 0; !isOver; round += 1) {
          await world.store.append(acme, [
            open(`C-${round}`, `c-${round}`),
            note(`C-${round}`, `c${round}`, 'a-1'),
            note('T-1', `d${round}`, 'a-2'),
          ]);
          await world.relay();
        }
      })();
      const erasing = (async () => {
        await world.fence([world.tokens.person('u-2')]);
        while (await world.eraseStep());
      })();
      for (let round = 0; round < 3; round += 1) {
        const report = await rebuild();
        assert.equal(report.differences.total, 0);
        assert.equal(report.swapped, true);
      }
      isOver = true;
      await Promise.all([writing, erasing]);
      await world.relay();
      const report = await rebuild({ checkOnly: true });
      assert.deepEqual([report.differences.total, report.changed], [0, 0]);
      const rows = await world.rows();
      assert.ok(rows.every((row) => !row.includes(world.tokens.ticket('T-3'))));
    });

    it('takes records that are not on the log yet from the live tables', async () => {
      await appendSome();
      await world.relay();
      await world.store.append(acme, [note('T-1', 'n95', 'a-1'), open('T-11', 'u-3')]);
      const rows = await world.rows();
      const report = await rebuild();
      assert.equal(report.differences.total, 0);
      assert.ok(report.changed > 0);
      assert.deepEqual(await world.rows(), rows);
    });
  });

  describe('and erasure', () => {
    it('equals the live tables before, in the middle of and after an erasure', async () => {
      await appendSome();
      await world.relay();
      await world.fence([world.tokens.person('u-1')]);
      for (let moved = true; moved;) {
        const rows = await world.rows();
        const report = await rebuild();
        assert.equal(report.differences.total, 0);
        assert.equal(report.swapped, true);
        assert.deepEqual(await world.rows(), rows);
        moved = await world.eraseStep();
      }
      const left = (await world.rows()).filter((row) => row.includes(world.tokens.ticket('T-1')));
      assert.deepEqual(left, []);
      // The tombstones are not on the log yet: it still has the records.
      assert.equal((await rebuild()).differences.total, 0);
      await world.relay();
      const report = await rebuild();
      assert.equal(report.differences.total, 0);
      assert.ok((await world.rows()).every((row) => !row.includes(world.tokens.ticket('T-1'))));
      assert.deepEqual(await rowsNaming('u-1'), []);
    });

    it('refuses a re-import of what was erased, after a swap as before', async () => {
      await appendSome();
      await world.relay();
      await world.fence([world.tokens.person('u-1')]);
      while (await world.eraseStep());
      await world.relay();
      assert.equal((await rebuild()).swapped, true);
      const [answer] = await world.store.append(acme, [note('T-3', 'n1', 'a-1')]);
      assert.equal(answer?.outcome, 'erased');
    });

    for (const [name, hook] of [
      ['after the log was read', beforeFold],
      ['before the log was read', beforeReading],
    ] as const) {
      it(`brings nothing back of who is erased ${name}`, async () => {
        await appendSome();
        await world.relay();
        const ports = hook(async () => {
          await world.fence([world.tokens.person('u-1')]);
          while (await world.eraseStep());
        });
        const report = await rebuild({}, ports);
        assert.equal(report.swapped, true);
        const rows = await world.rows();
        assert.deepEqual(await rowsNaming('u-1'), []);
        assert.ok(rows.every((row) => !row.includes(world.tokens.ticket('T-1'))));
        assert.ok(rows.some((row) => row.includes(world.tokens.ticket('T-3'))));
        await world.relay();
        assert.equal((await rebuild({ checkOnly: true })).differences.total, 0);
      });
    }

    it('brings nothing back of who is erased when rows are compared already and differences accepted', async () => {
      await appendSome();
      await world.relay();
      // The live tables lost these: no erasure finds them, and no trigger notes them.
      const [lost, torn] = [world.tokens.ticket('T-1'), world.tokens.ticket('T-2')];
      for (const table of ['event_index', 'records']) {
        await sql`delete from ${sql.table(table)} where stream_token = ${lost} and position = 2`.execute(
          world.db,
        );
      }
      await sql`delete from person_boxes where stream_token = ${lost}`.execute(world.db);
      await sql`update streams set state = null where token = ${torn}`.execute(world.db);
      let isSwapping = false;
      const leaseForSeal: KeyClient['leaseForSeal'] = async (tenantId, requests) => {
        if (isSwapping) {
          isSwapping = false;
          await world.fence([world.tokens.person('u-1')]);
          while (await world.eraseStep());
        }
        return world.keys.leaseForSeal(tenantId, requests);
      };
      const ports = { ...world.ports, keys: { ...world.keys, leaseForSeal } };
      const onProgress = ({ phase }: { readonly phase: RebuildPhase }) => {
        isSwapping = phase === RebuildPhase.REBUILD_PHASE_SWAP;
      };
      const report = await rebuild({ acceptDifferences: true, onProgress }, ports);
      assert.equal(report.swapped, true);
      const rows = await world.rows();
      assert.deepEqual(
        rows.filter((row) => row.includes(lost) || row.includes(torn)),
        [],
      );
      assert.deepEqual(await rowsNaming('u-1'), []);
    });

    it('brings no single record back that was taken out of a stream that goes on', async () => {
      await appendSome();
      await world.relay();
      const token = world.tokens.ticket('T-3');
      // The log still has it: its tombstone has not come there.
      await sql`delete from records where stream_token = ${token} and position = 2`.execute(
        world.db,
      );
      await sql`update event_index set stream_token = null, stream_incarnation = null, position = null,
        digest = null where stream_token = ${token} and position = 2`.execute(world.db);
      const rows = await world.rows();
      const report = await rebuild();
      assert.deepEqual([report.differences.total, report.swapped], [0, true]);
      assert.deepEqual(await world.rows(), rows);
    });

    it('takes over streams whose key is gone before the fence has arrived here', async () => {
      await appendSome();
      await world.relay();
      const rows = await world.rows();
      world.keys.fencePerson(acme, world.tokens.person('u-1'), atMs + 3_600_000);
      const report = await rebuild();
      assert.equal(report.differences.total, 0);
      assert.deepEqual(await world.rows(), rows);
    });
  });

  it('refuses a second one at the same time, and takes one again afterwards', async () => {
    await appendSome();
    await world.relay();
    let second: unknown;
    const ports = beforeFold(async () => {
      second = await rebuild().catch((error: unknown) => error);
    });
    assert.equal((await rebuild({}, ports)).swapped, true);
    assert.ok(second instanceof ServiceError);
    assert.equal(second.reason, 'REBUILD_RUNNING');
    assert.equal((await rebuild()).swapped, true);
  });

  it('stops at records that the log lacks and that nobody erased', async () => {
    await appendSome();
    await world.relay();
    await sql`update partition_counters set last_sequence = last_sequence + 1`.execute(world.db);
    const [rows, names] = [await world.rows(), await world.names()];
    await assert.rejects(rebuild(), { reason: 'SEQUENCE_GAP' });
    assert.deepEqual(await world.rows(), rows);
    assert.deepEqual(await world.names(), names);
  });

  it('is undone when its caller goes away', async () => {
    await appendSome();
    await world.relay();
    const [rows, names] = [await world.rows(), await world.names()];
    const leaving = new AbortController();
    const ports = beforeFold(async () => leaving.abort());
    await assert.rejects(rebuild({ signal: leaving.signal }, ports), { name: 'AbortError' });
    assert.deepEqual(await world.rows(), rows);
    assert.deepEqual(await world.names(), names);
  });

  it('leaves the live tables as they were, whichever statement the process dies at', async function () {
    this.timeout(120_000);
    if (!isPglite(world.db)) this.skip();
    await appendSome();
    await world.relay();
    const [rows, names] = [await world.rows(), await world.names()];
    let ended = false;
    for (let statement = 1; !ended; statement += 6) {
      const db = dyingAt(world.db, statement);
      try {
        await rebuild({}, { ...world.ports, db });
        ended = true;
      } catch (error) {
        assert.ok(error instanceof Death, String(error));
      }
      assert.deepEqual(await world.rows(), rows, `died at statement ${statement}`);
      // What the next start does; an append in between is not held up by what was left.
      await removeRebuildWork(world.db, world.ports.clock);
      assert.deepEqual(await world.names(), names, `died at statement ${statement}`);
    }
    assert.equal(await removeRebuildWork(world.db, world.ports.clock), false);
  });

  it('keeps the rights that were given to others', async () => {
    await appendSome();
    await world.relay();
    await sql`create role "rebuild Reader"`.execute(world.db);
    const rights = async (): Promise<readonly unknown[]> => {
      const { rows } = await sql`
        select relname, pg_get_userbyid(grantee) as grantee, privilege_type, is_grantable
        from pg_class, aclexplode(relacl) where relnamespace = current_schema()::regnamespace
          and grantee <> relowner order by 1, 2, 3`.execute(world.db);
      return rows;
    };
    try {
      await sql`grant select on streams, records to "rebuild Reader"`.execute(world.db);
      await sql`grant delete on records to "rebuild Reader" with grant option`.execute(world.db);
      const before = await rights();
      assert.equal(before.length, 3);
      assert.equal((await rebuild()).swapped, true);
      assert.deepEqual(await rights(), before);
    } finally {
      await sql`drop owned by "rebuild Reader"`.execute(world.db);
      await sql`drop role "rebuild Reader"`.execute(world.db);
    }
  });

  it('cleans up what one that died left, whoever comes first', async function () {
    if (!isPglite(world.db)) this.skip();
    await appendSome();
    await world.relay();
    const names = await world.names();
    const db = dyingAt(world.db, 60);
    await assert.rejects(rebuild({}, { ...world.ports, db }), Death);
    assert.notDeepEqual(await world.names(), names);
    assert.equal((await rebuild()).swapped, true);
    assert.deepEqual(await world.names(), names);
  });

  it('cleans up beside a service that goes on, once the lock is free', async () => {
    const names = await world.names();
    const leftovers = createRebuildLeftovers(world.ports);
    leftovers.start();
    await withLockSession(world.db, async (session) => {
      assert.ok(await session.tryLock('rebuild'));
      await createFreshTables(world.db, world.ports.clock);
      assert.equal(await removeRebuildWork(world.db, world.ports.clock), false);
    });
    assert.notDeepEqual(await world.names(), names);
    // What a minute does.
    leftovers.wake();
    while (await hasWork(world.db)) await setImmediate();
    assert.deepEqual(await world.names(), names);
    await leftovers.stop();
  });
});

class Death extends Error {}

/** On a server a rebuild has a connection of its own, which knows nothing of plugins. */
function isPglite(db: Kysely<EventStoreSchema>): boolean {
  return db.getExecutor().adapter instanceof SharedConnectionAdapter;
}

/** A handle at which this statement and all later ones throw: what a process that died has done by then. */
function dyingAt(db: Kysely<EventStoreSchema>, statement: number): Kysely<EventStoreSchema> {
  let count = 0;
  const plugin: KyselyPlugin = {
    transformQuery: ({ node }) => {
      count += 1;
      if (count >= statement) throw new Death(`at statement ${statement}`);
      return node;
    },
    transformResult: async ({ result }) => result,
  };
  return db.withPlugin(plugin);
}
