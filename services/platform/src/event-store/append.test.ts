import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { type Kysely, OperationNodeTransformer, type RawNode } from 'kysely';
import { Record as LogRecord } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import { ServiceError } from '../errors/service-error.ts';
import type { TenantId } from '../ids/ids.ts';
import type { TokenMaker } from '../key-client/port.ts';
import { systemClock } from '../lifecycle/clock.ts';
import { createOutboxTables } from '../outbox/tables.ts';
import { openEvent } from '../sealing/event.ts';
import { createMemoryKeys, type MemoryKeys } from '../testing/memory-keys.ts';
import {
  noteFamily,
  type NoteItem,
  noteItem,
  openItem,
  visitFamily,
  visitItem,
} from '../testing/note-family.ts';
import { openTestDatabase } from '../testing/test-database.ts';
import {
  createEventStore,
  defaultEventStoreOptions,
  type EventStore,
  type EventStoreOptions,
  type EventStorePorts,
} from './append.ts';
import type { AppendAnswer } from './family.ts';
import { raiseFences } from './fences.ts';
import { recordIdOf } from '../ids/record-id.ts';
import { createEventStoreTables, type EventStoreSchema } from './tables.ts';

const acme = 'acme' as TenantId;
const other = 'other' as TenantId;
const atMs = Date.UTC(2026, 2, 2, 9);

interface Room {
  readonly db: Kysely<EventStoreSchema>;
  readonly keys: MemoryKeys;
  readonly ports: EventStorePorts;
  readonly store: EventStore<NoteItem['command']>;
  readonly tokens: TokenMaker;
}

describe('the event store', () => {
  let db: Kysely<EventStoreSchema>;

  before(async function () {
    this.timeout(60_000);
    db = await openTestDatabase<EventStoreSchema>('event_store');
    await createEventStoreTables(db);
    await createOutboxTables(db);
  });

  beforeEach(async () => {
    for (const table of ['streams', 'event_index', 'records', 'person_boxes', 'fences'] as const) {
      await db.deleteFrom(table).execute();
    }
  });

  async function room(options: Partial<EventStoreOptions> = {}): Promise<Room> {
    const keys = createMemoryKeys();
    const ports: EventStorePorts = {
      db,
      keys,
      clock: systemClock,
      randomBytes,
      partitions: 6,
      onEnqueued: () => {},
    };
    const store = createEventStore(noteFamily, ports, { ...defaultEventStoreOptions, ...options });
    return { db, keys, ports, store, tokens: await keys.tokens(acme) };
  }

  function open(tokens: TokenMaker, ticket: string, requester = 'u-1', source = `${ticket}/0`) {
    return openItem(tokens, requester, { ticket, source, occurredAtMs: atMs });
  }

  function note(
    tokens: TokenMaker,
    ticket: string,
    source: string,
    more: { readonly author?: string; readonly body?: string; readonly minute?: number } = {},
  ) {
    const occurredAtMs = atMs + (more.minute ?? 1) * 60_000;
    const { author = 'a-1', body = 'a note' } = more;
    return noteItem(tokens, author, { ticket, source, occurredAtMs, body });
  }

  const outcomes = (answers: readonly AppendAnswer[]) => answers.map((answer) => answer.outcome);

  it('stores events of a stream under rising positions, with what is derived from them', async () => {
    const { store, tokens } = await room();
    const answers = await store.append(acme, [
      open(tokens, 'T-1'),
      note(tokens, 'T-1', 'n1'),
      note(tokens, 'T-1', 'n2'),
      note(tokens, 'T-1', 'n3'),
      note(tokens, 'T-1', 'n4'),
    ]);
    assert.deepEqual(
      answers.map((answer) => 'position' in answer && answer.position),
      [1, 2, 3, 4, 6],
    );
    const stream = await db.selectFrom('streams').selectAll().executeTakeFirstOrThrow();
    assert.equal(stream.position, 6n);
    assert.equal(stream.opened_at_ms, BigInt(atMs));
  });

  it('decides on the state that earlier calls left', async () => {
    const { store, tokens } = await room();
    await store.append(acme, [open(tokens, 'T-1'), note(tokens, 'T-1', 'n1')]);
    await store.append(acme, [note(tokens, 'T-1', 'n2')]);
    await store.append(acme, [note(tokens, 'T-1', 'n3')]);
    const rows = await db.selectFrom('event_index').select('position').execute();
    assert.equal(rows.length, 5);
  });

  it('reads a state that lies under an older generation of the key', async () => {
    const { store, tokens, keys } = await room();
    await store.append(acme, [open(tokens, 'T-1'), note(tokens, 'T-1', 'n1')]);
    keys.rotate(acme, { kind: 'ticket', token: tokens.ticket('T-1') });
    const answers = await store.append(acme, [
      note(tokens, 'T-1', 'n2'),
      note(tokens, 'T-1', 'n3'),
    ]);
    assert.deepEqual(outcomes(answers), ['accepted', 'accepted']);
    assert.equal((await db.selectFrom('event_index').select('position').execute()).length, 5);
  });

  it('writes what opens again, bound to header and contributors', async () => {
    const { store, tokens, keys } = await room();
    await store.append(acme, [open(tokens, 'T-1'), note(tokens, 'T-1', 'n1')]);
    const rows = await db.selectFrom('records').selectAll().orderBy('position').execute();
    const record = LogRecord.decode(rows[1]?.record ?? Buffer.alloc(0));
    const scopes = {
      1: { kind: 'facts' },
      2: { kind: 'ticket', token: tokens.ticket('T-1') },
      3: { kind: 'person', token: tokens.person('a-1') },
    } as const;
    const leases = await Promise.all(
      record.parts.map(async (part) => {
        const scope = scopes[part.scopeKind as 1 | 2 | 3];
        const keyId = part.box.subarray(1, 17);
        const [lease] = await keys.leaseForOpen(acme, [{ scope, incarnation: 1, keyId }]);
        assert(lease?.granted);
        return [part.name, lease] as const;
      }),
    );
    const byName = new Map(leases);
    const opened = openEvent({
      record,
      leaseOf: (part) => byName.get(part.name) ?? 'skip',
    });
    const sent = note(tokens, 'T-1', 'n1');
    assert.deepEqual(Buffer.from(opened.eventBytes), Buffer.from(sent.eventBytes));
    const maker = await keys.contributors(acme, 2026 * 12 + 2);
    assert.deepEqual(opened.contributors.requester, maker?.(tokens.person('u-1')));
    assert.deepEqual(opened.contributors.agent, maker?.(tokens.person('a-1')));
  });

  it('answers a repeated event as duplicate and stores nothing, within a batch and across', async () => {
    const { store, tokens } = await room();
    const batch = [open(tokens, 'T-1'), note(tokens, 'T-1', 'n1'), note(tokens, 'T-1', 'n1')];
    assert.deepEqual(outcomes(await store.append(acme, batch)), [
      'accepted',
      'accepted',
      'duplicate',
    ]);
    const again = await store.append(acme, batch);
    assert.deepEqual(outcomes(again), ['duplicate', 'duplicate', 'duplicate']);
    assert.equal('position' in (again[2] ?? {}) && (again[2] as { position: number }).position, 2);
    assert.equal((await db.selectFrom('event_index').select('record_id').execute()).length, 2);
  });

  it('answers another content under a known id as conflict', async () => {
    const { store, tokens } = await room();
    await store.append(acme, [open(tokens, 'T-1'), note(tokens, 'T-1', 'n1')]);
    const changed = [
      note(tokens, 'T-1', 'n1', { body: 'another text' }),
      note(tokens, 'T-1', 'n1', { minute: 2 }),
      { ...note(tokens, 'T-1', 'n1'), causationId: open(tokens, 'T-1').eventId },
    ];
    assert.deepEqual(outcomes(await store.append(acme, changed)), [
      'conflict',
      'conflict',
      'conflict',
    ]);
  });

  it('answers an id of another stream as conflict', async () => {
    const { store, tokens } = await room();
    await store.append(acme, [open(tokens, 'T-1'), open(tokens, 'T-2'), note(tokens, 'T-1', 'n1')]);
    assert.deepEqual(outcomes(await store.append(acme, [note(tokens, 'T-2', 'n1')])), ['conflict']);
  });

  it('keeps equal event ids of two tenants apart', async () => {
    const { store, tokens, keys } = await room();
    const theirs = await keys.tokens(other);
    const ours = open(tokens, 'T-1');
    const same = { ...open(theirs, 'T-1'), eventId: ours.eventId };
    assert.deepEqual(outcomes(await store.append(acme, [ours])), ['accepted']);
    assert.deepEqual(outcomes(await store.append(other, [same])), ['accepted']);
    assert.notEqual(recordIdOf(acme, ours.eventId), recordIdOf(other, ours.eventId));
  });

  it('knows no ticket before its first event, and not one of another tenant', async () => {
    const { store, tokens, keys } = await room();
    const early = [note(tokens, 'T-1', 'n1'), open(tokens, 'T-1'), note(tokens, 'T-1', 'n2')];
    assert.deepEqual(outcomes(await store.append(acme, early)), [
      'unknown_ticket',
      'accepted',
      'accepted',
    ]);
    const theirs = await keys.tokens(other);
    const foreign = { ...note(theirs, 'T-1', 'n9'), streamToken: tokens.ticket('T-1') };
    assert.deepEqual(outcomes(await store.append(other, [foreign])), ['unknown_ticket']);
  });

  it('knows no ticket whose key was created and whose first event was not stored', async () => {
    const { store, tokens, keys } = await room();
    const token = tokens.person('u-1');
    await keys.leaseForSeal(acme, [{ scope: { kind: 'person', token } }]);
    const scope = { kind: 'ticket', token: tokens.ticket('T-1') } as const;
    await keys.leaseForSeal(acme, [{ scope, createFor: { token, incarnation: 1 } }]);
    const answers = await store.append(acme, [note(tokens, 'T-1', 'n1')]);
    assert.deepEqual(outcomes(answers), ['unknown_ticket']);
  });

  it('takes no older state for the newest', async () => {
    const { store, tokens } = await room();
    await store.append(acme, [open(tokens, 'T-1')]);
    const older = await db.selectFrom('streams').select('state').executeTakeFirstOrThrow();
    await store.append(acme, [note(tokens, 'T-1', 'n1')]);
    await db.updateTable('streams').set(older).execute();
    await assert.rejects(store.append(acme, [note(tokens, 'T-1', 'n2')]), { reason: 'TAMPERED' });
  });

  it('answers every bad event alone and leaves no empty stream behind', async () => {
    const { store, tokens } = await room({ recordBytesMax: 4_000 });
    const big = openItem(tokens, 'u-1', {
      ticket: 'T-2',
      source: 'big',
      occurredAtMs: atMs,
      body: 'x'.repeat(4_000),
    });
    const forbidden = noteItem(tokens, 'a-1', {
      ticket: 'T-1',
      source: 'bad',
      occurredAtMs: atMs,
      kind: 'forbidden',
    });
    const answers = await store.append(acme, [open(tokens, 'T-1'), big, forbidden]);
    assert.deepEqual(outcomes(answers), ['accepted', 'invalid', 'invalid']);
    assert.deepEqual(
      answers.map((answer) => ('reason' in answer ? answer.reason : undefined)),
      [undefined, 'EVENT_TOO_LARGE', 'INVALID_FIELDS'],
    );
    const streams = await db.selectFrom('streams').select('token').execute();
    assert.deepEqual(
      streams.map((stream) => stream.token),
      [tokens.ticket('T-1')],
    );
  });

  describe('with fences', () => {
    const cutOffMs = atMs + 3_600_000;
    const later = { ticket: 'T-9', source: 'T-9/0', occurredAtMs: cutOffMs + 120_000 };

    async function fence(
      { keys, tokens }: Room,
      person: string,
      stands: 'here' | 'at keys',
    ): Promise<void> {
      const fenced = keys.fencePerson(acme, tokens.person(person), cutOffMs);
      if (stands === 'here') await db.transaction().execute((tx) => raiseFences(tx, acme, fenced));
    }

    for (const stands of ['here', 'at keys'] as const) {
      it(`refuses everything of an erased person's ticket for ever (fence ${stands})`, async () => {
        const made = await room();
        const { store, tokens } = made;
        await store.append(acme, [open(tokens, 'T-1'), note(tokens, 'T-1', 'n1')]);
        await fence(made, 'u-1', stands);
        const late = note(tokens, 'T-1', 'n3', { minute: 10_000 });
        const again = [open(tokens, 'T-1'), note(tokens, 'T-1', 'n2'), late];
        assert.deepEqual(outcomes(await store.append(acme, again)), ['erased', 'erased', 'erased']);
      });

      it(`refuses a ticket opened before the cut-off and lets the person come back (fence ${stands})`, async () => {
        const made = await room();
        const { store, tokens } = made;
        await store.append(acme, [open(tokens, 'T-1')]);
        await fence(made, 'u-1', stands);
        const skewed = { ticket: 'T-3', source: 'T-3/0', occurredAtMs: cutOffMs + 59_000 };
        const answers = await store.append(acme, [
          open(tokens, 'T-2'),
          openItem(tokens, 'u-1', skewed),
          openItem(tokens, 'u-1', later),
        ]);
        assert.deepEqual(outcomes(answers), ['erased', 'erased', 'accepted']);
      });

      it(`stores an event that names an erased agent without them (fence ${stands})`, async () => {
        const made = await room();
        const { store, tokens } = made;
        await store.append(acme, [open(tokens, 'T-1'), note(tokens, 'T-1', 'n1')]);
        await fence(made, 'a-1', stands);
        const after = note(tokens, 'T-1', 'n3', { minute: 61 });
        await store.append(acme, [note(tokens, 'T-1', 'n2'), after]);
        const rows = await db.selectFrom('records').selectAll().orderBy('position').execute();
        const authors = rows
          .map((row) => LogRecord.decode(row.record).parts.find((part) => part.name === 'author'))
          .map((part) => part && [part.incarnation, part.erasedAtAppend, part.box.length > 0]);
        assert.deepEqual(authors, [
          undefined,
          [1, false, true],
          [1, true, false],
          [2, false, true],
          undefined,
        ]);
      });
    }

    it('refuses an erased person for ever where the tenant lets nobody come back', async () => {
      const made = await room();
      const { store, tokens, keys } = made;
      keys.allowReturning(false);
      await store.append(acme, [open(tokens, 'T-1')]);
      await fence(made, 'u-1', 'here');
      const answers = await store.append(acme, [openItem(tokens, 'u-1', later)]);
      assert.deepEqual(outcomes(answers), ['erased']);
    });

    it('does not believe a lease that is older than a fence that stands here', async () => {
      const made = await room();
      const { store, tokens, keys } = made;
      await store.append(acme, [open(tokens, 'T-1')]);
      const stale = await keys.leaseForSeal(acme, [
        { scope: { kind: 'person', token: tokens.person('a-1') } },
      ]);
      await fence(made, 'a-1', 'here');
      const lying = { ...keys, evictions: 0 };
      const evict = () => {
        lying.evictions += 1;
      };
      const cached: MemoryKeys = {
        ...lying,
        evict,
        leaseForSeal: async (tenantId, requests) => {
          const leases = await keys.leaseForSeal(tenantId, requests);
          const isCached = lying.evictions === 0;
          return leases.map((lease) =>
            isCached && lease.scope.kind === 'person' ? (stale[0] ?? lease) : lease,
          );
        },
      };
      const doubting = createEventStore(noteFamily, { ...made.ports, keys: cached });
      const answers = await doubting.append(acme, [note(tokens, 'T-1', 'n2', { minute: 61 })]);
      assert.deepEqual(outcomes(answers), ['accepted']);
      assert.equal(lying.evictions, 1);
    });

    it('refuses events of a ticket whose fence stands here, however good their lease looks', async () => {
      const made = await room();
      const { store, tokens, keys } = made;
      await store.append(acme, [open(tokens, 'T-1')]);
      const scope = { kind: 'ticket', token: tokens.ticket('T-1') } as const;
      const fence = { scope, incarnation: 1, cutOffMs };
      await db.transaction().execute((tx) => raiseFences(tx, acme, [fence]));
      const [lease] = await keys.leaseForSeal(acme, [{ scope }]);
      assert(lease?.granted);
      assert.deepEqual(outcomes(await store.append(acme, [note(tokens, 'T-1', 'n1')])), ['erased']);
    });

    it('refuses visits of the erased incarnation and starts a stream anew for the next', async () => {
      const made = await room();
      const { tokens } = made;
      const store = createEventStore(visitFamily, made.ports);
      const visit = (source: string, occurredAtMs: number) =>
        visitItem(tokens, 'u-1', { source, occurredAtMs });
      await store.append(acme, [visit('v1', atMs), visit('ahead', cutOffMs + 5)]);
      await fence(made, 'u-1', 'here');
      const answers = await store.append(acme, [
        visit('v1', atMs),
        visit('v2', cutOffMs - 1),
        visit('ahead', cutOffMs + 5),
        visit('v3', cutOffMs),
      ]);
      assert.deepEqual(outcomes(answers), ['erased', 'erased', 'erased', 'accepted']);
      assert.deepEqual(answers[3], { outcome: 'accepted', position: 1 });
      const streams = await db.selectFrom('streams').select('incarnation').execute();
      assert.deepEqual(new Set(streams.map((stream) => stream.incarnation)), new Set([1, 2]));
    });

    it('refuses the id of an event whose rows were removed', async () => {
      const { store, tokens } = await room();
      await store.append(acme, [open(tokens, 'T-1'), note(tokens, 'T-1', 'n1')]);
      await db
        .updateTable('event_index')
        .set({ stream_token: null, stream_incarnation: null, position: null, digest: null })
        .where('record_id', '=', recordIdOf(acme, note(tokens, 'T-1', 'n1').eventId))
        .execute();
      assert.deepEqual(outcomes(await store.append(acme, [note(tokens, 'T-1', 'n1')])), ['erased']);
    });
  });

  describe('when leases fail', () => {
    it('leases again until the whole batch is under good keys', async () => {
      for (let uses = 0; uses < 30; uses += 1) {
        const { store, tokens, keys } = await room();
        keys.breakLeasesAfter(uses);
        const ticket = `L-${uses}`;
        const answers = await store.append(acme, [
          open(tokens, ticket),
          note(tokens, ticket, `${ticket}/1`),
        ]);
        assert.deepEqual(outcomes(answers), ['accepted', 'accepted']);
      }
      const rows = await db.selectFrom('event_index').select('record_id').execute();
      assert.equal(rows.length, 60);
    });

    it('gives up with the reason and stores nothing when no lease lasts', async () => {
      const { store, tokens, keys, ports } = await room();
      const expired: MemoryKeys = {
        ...keys,
        leaseForSeal: async (tenantId, requests) =>
          (await keys.leaseForSeal(tenantId, requests)).map((lease) =>
            lease.granted
              ? {
                  ...lease,
                  assertUsable: () => {
                    throw new ServiceError('LEASE_EXPIRED');
                  },
                }
              : lease,
          ),
      };
      const doomed = createEventStore(noteFamily, { ...ports, keys: expired });
      await assert.rejects(doomed.append(acme, [open(tokens, 'T-1')]), { reason: 'LEASE_EXPIRED' });
      assert.equal((await db.selectFrom('streams').selectAll().execute()).length, 0);
      assert.deepEqual(outcomes(await store.append(acme, [open(tokens, 'T-1')])), ['accepted']);
    });

    it('commits nothing under a key that was revoked while the rows were written', async () => {
      const { tokens, keys, ports } = await room();
      let isRevoked = false;
      let revocations = 0;
      const revoking = new (class extends OperationNodeTransformer {
        protected override transformRaw(node: RawNode): RawNode {
          // The last rows of the first attempt.
          if (/^\s*update streams/.test(node.sqlFragments[0] ?? '') && revocations === 0) {
            revocations += 1;
            isRevoked = true;
          }
          return super.transformRaw(node);
        }
      })();
      const watched = db.withPlugin({
        transformQuery: ({ node, queryId }) => revoking.transformNode(node, queryId),
        transformResult: async ({ result }) => result,
      });
      const revocable: MemoryKeys = {
        ...keys,
        leaseForSeal: async (tenantId, requests) => {
          isRevoked = false;
          const assertUsable = (): void => {
            if (isRevoked) throw new ServiceError('LEASE_EXPIRED');
          };
          const leases = await keys.leaseForSeal(tenantId, requests);
          return leases.map((lease) => (lease.granted ? { ...lease, assertUsable } : lease));
        },
      };
      const store = createEventStore(noteFamily, { ...ports, db: watched, keys: revocable });
      assert.deepEqual(outcomes(await store.append(acme, [open(tokens, 'T-1')])), ['accepted']);
      assert.equal(revocations, 1);
      // Person and facts, then ticket, twice: the first attempt was rolled back.
      assert.equal(keys.leaseCalls(), 4);
    });

    it('seals no contributor in a closed month', async () => {
      const { store, tokens, keys } = await room();
      keys.closeMonth(2026 * 12 + 2);
      assert.deepEqual(outcomes(await store.append(acme, [open(tokens, 'T-1')])), ['accepted']);
    });
  });

  it('refuses appends while too much waits for the log', async () => {
    const { store, tokens } = await room({ pendingRowsMax: 0 });
    await assert.rejects(store.append(acme, [open(tokens, 'T-1')]), {
      reason: 'TOO_MUCH_PENDING',
      retryDelayMs: 2_000,
    });
  });

  it('counts boxes of persons in streams that are not theirs', async () => {
    const { store, tokens } = await room();
    await store.append(acme, [
      open(tokens, 'T-1', 'u-1'),
      note(tokens, 'T-1', 'n1', { author: 'u-1' }),
      note(tokens, 'T-1', 'n2', { author: 'a-1' }),
    ]);
    await store.append(acme, [note(tokens, 'T-1', 'n3', { author: 'a-1' })]);
    const rows = await db.selectFrom('person_boxes').selectAll().execute();
    assert.deepEqual(
      rows.map((row) => [row.person_token, row.boxes]),
      [[tokens.person('a-1'), 2n]],
    );
  });

  it('ends in the same streams and index in whatever order, repetition and batches events come', async () => {
    const places = Array.from({ length: 12 }, (_, index) => index);
    const order = fc.shuffledSubarray(places, { minLength: places.length });
    const repeated = fc.array(fc.constantFrom(...places), { maxLength: 6 });
    const sizes = fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 6 });
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(order, repeated, sizes, async (shuffled, again, batchSizes) => {
        runs += 1;
        const { store, tokens } = await room();
        const names = [0, 1, 2].map((ticket) => `law-${runs}-${ticket}`);
        const all = names.flatMap((name) => [
          open(tokens, name),
          ...[1, 2, 3].map((number) => note(tokens, name, `${name}/${number}`)),
        ]);
        const sent = [...shuffled, ...again].flatMap((place) => all[place] ?? []);
        // Callers send again what was unknown: a note may come before its ticket.
        const waiting = [...sent, ...sent, ...sent];
        for (let batch = 0; waiting.length > 0; batch += 1) {
          const size = batchSizes[batch % batchSizes.length] ?? 1;
          await store.append(acme, waiting.splice(0, size));
        }
        const tickets = names.map((name) => tokens.ticket(name));
        const streams = await db
          .selectFrom('streams')
          .select('position')
          .where('token', 'in', tickets)
          .execute();
        assert.deepEqual(
          streams.map((stream) => stream.position),
          [5n, 5n, 5n],
        );
        const index = await db
          .selectFrom('event_index')
          .select(['event_id', 'stream_token', 'position'])
          .where('stream_token', 'in', tickets)
          .execute();
        const own = new Map(all.map((item) => [item.eventId as string, item.streamToken]));
        assert.equal(index.length, 15);
        assert.equal(new Set(index.map((row) => `${row.stream_token}/${row.position}`)).size, 15);
        const known = index.filter((row) => own.get(row.event_id) === row.stream_token);
        assert.equal(known.length, all.length);
      }),
      { numRuns: 15 },
    );
  });
});
