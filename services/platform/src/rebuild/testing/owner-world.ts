import { randomBytes } from 'node:crypto';
import { type Kysely, sql } from 'kysely';
import { createConsumerTables } from '../../consumer/tables.ts';
import { createEventStore, type EventStore } from '../../event-store/append.ts';
import { createErasureEffect } from '../../event-store/erasure-effect.ts';
import { runErasureRound } from '../../event-store/erasure-job.ts';
import { createLedgerWait } from '../../event-store/ledger-wait.ts';
import { storeSequences } from '../../event-store/event-index.ts';
import { createEventStoreTables, type EventStoreSchema } from '../../event-store/tables.ts';
import type { EventLog } from '../../event-log/port.ts';
import type { Peer } from '../../grpc/handler.ts';
import type { ErasureId, TenantId, Token } from '../../ids/ids.ts';
import type { TokenMaker } from '../../key-client/port.ts';
import { systemClock } from '../../lifecycle/clock.ts';
import { createLogger } from '../../log/logger.ts';
import { createPartitionRelay } from '../../outbox/relay-partition.ts';
import { createOutboxTables } from '../../outbox/tables.ts';
import { createReceiptTables } from '../../receipts/receipts.ts';
import { encodeScope } from '../../sealing/scope-wire.ts';
import { createMemoryKeys, type MemoryKeys } from '../../testing/memory-keys.ts';
import { type NoteItem, noteFamily, type NoteState } from '../../testing/note-family.ts';
import { openTestDatabase } from '../../testing/test-database.ts';
import { openTestEventLog } from '../../testing/test-event-log.ts';
import { Record as LogRecord } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import { PrivacyEvent } from '@lethe/proto/gen/lethe/privacy/v1/events.ts';
import { derivedTables } from '../derived-tables.ts';
import type { OwnerRebuildPorts, RebuildWish } from '../rebuild-owner.ts';
import type { RebuildRules } from '../rules.ts';

export const acme = 'acme' as TenantId;

/** How the state of the tests' family follows from its records. */
export const noteRules: RebuildRules<NoteState> = {
  contentTypes: new Set(),
  fold: (state, { shape }) => ({
    notes: (state?.notes ?? 0) + (shape.type === 'MessageAdded' ? 1 : 0),
  }),
};

/** An owner of tickets.v1 without its loops: tests relay and erase by hand. */
export interface OwnerWorld {
  readonly db: Kysely<EventStoreSchema>;
  readonly log: EventLog;
  readonly keys: MemoryKeys;
  readonly tokens: TokenMaker;
  readonly store: EventStore<NoteItem['command']>;
  readonly ports: OwnerRebuildPorts<NoteState>;
  /** Publishes what waits. */
  relay(): Promise<void>;
  /** Fences persons and notes their erasure, as keys and the consumer of privacy.v1 do. */
  fence(persons: readonly Token[], erasureId?: ErasureId): Promise<void>;
  /** One round of the erasure jobs; answers whether something moved. */
  eraseStep(): Promise<boolean>;
  /** Every row of the derived tables, as text, sorted. */
  rows(): Promise<readonly string[]>;
  /** The names of everything in the schema. */
  names(): Promise<readonly string[]>;
  close(): Promise<void>;
}

const partitions = 3;

/** The first call in a process boots PGlite: give the hook 60 s. */
export async function createOwnerWorld(name: string): Promise<OwnerWorld> {
  const db = await openTestDatabase<EventStoreSchema>(name);
  await createTables(db);
  const testLog = openTestEventLog(new Map([['tickets.v1', partitions]]));
  const { log } = testLog;
  const keys = createMemoryKeys();
  const tokens = await keys.tokens(acme);
  const clock = systemClock;
  const logger = createLogger({ service: 'test', level: 'silent' });
  const onEnqueued = () => {};
  const store = createEventStore(noteFamily, {
    db,
    keys,
    clock,
    randomBytes,
    partitions,
    onEnqueued,
  });
  return {
    db,
    log,
    keys,
    tokens,
    store,
    ports: {
      db,
      eventLog: log,
      keys,
      family: noteFamily,
      rules: noteRules,
      clock,
      randomBytes,
      logger,
    },
    relay: async () => relayAll(db, log),
    fence: async (persons, erasureId = '0198c1de-5f00-7abc-8def-00000000e001' as ErasureId) => {
      const fenced = persons.flatMap((person) => keys.fencePerson(acme, person, clock.nowMs()));
      const scopes = fenced.map((one) => ({
        ...encodeScope(one.scope),
        incarnation: one.incarnation,
        cutOff: new Date(one.cutOffMs),
      }));
      const value = { erasureId, scopes, obligedServices: ['tickets'] };
      await applyErasure(db, PrivacyEvent.fromPartial({ event: { $case: 'scopesErased', value } }));
    },
    eraseStep: async () => {
      const ports = { family: noteFamily, db, analytics: analyticsOf(db), clock, logger };
      const outcome = await runErasureRound(
        { ...ports, onEnqueued, onReceipt: () => {} },
        createLedgerWait(clock),
      );
      return outcome === 'again';
    },
    rows: async () => readRows(db),
    names: async () => readNames(db),
    close: async () => testLog.close(),
  };
}

async function createTables(db: Kysely<EventStoreSchema>): Promise<void> {
  await createEventStoreTables(db);
  await createOutboxTables(db);
  await createConsumerTables(db);
  await createReceiptTables(db);
  for (let partition = 0; partition < partitions; partition += 1) {
    await sql`insert into partition_counters (topic, partition) values ('tickets.v1', ${partition})`.execute(
      db,
    );
  }
}

/** Analytics that has folded everything. */
function analyticsOf(db: Kysely<EventStoreSchema>): Peer {
  const unary = async () => {
    const { rows } = await sql<{ partition: number; sequence: bigint }>`
      select partition, last_sequence as sequence from partition_counters`.execute(db);
    return { partitions: rows.map((row) => ({ ...row, uncounted: [] })), moreUncounted: false };
  };
  return { unary } as unknown as Peer;
}

async function relayAll(db: Kysely<EventStoreSchema>, eventLog: EventLog): Promise<void> {
  const limits = { rowsMax: 100, bytesMax: 1_000_000 };
  for (let partition = 0; partition < partitions; partition += 1) {
    const at = { topic: 'tickets.v1', partition };
    const ports = { db, eventLog, limits, onSequenced: storeSequences };
    const relay = createPartitionRelay(at, ports);
    await relay.drain(new AbortController().signal);
    await relay.forgetWriter();
  }
}

async function applyErasure(db: Kysely<EventStoreSchema>, event: PrivacyEvent): Promise<void> {
  const effect = createErasureEffect({ service: 'tickets', clock: systemClock, onJob: () => {} });
  const clearPayload = PrivacyEvent.encode(event).finish();
  const record = LogRecord.fromPartial({
    header: { tenantId: acme },
    clearPayload: Buffer.from(clearPayload),
  });
  const records = [{ sequence: 1n, offset: 0n, record }];
  const prepared = await effect.prepare({ topic: 'privacy.v1', partition: 0 }, records);
  await db.transaction().execute(async (tx) => effect.apply(tx, prepared));
}

async function readRows(db: Kysely<EventStoreSchema>): Promise<readonly string[]> {
  const all: string[] = [];
  for (const { name } of derivedTables) {
    const { rows } = await sql<{ row: string }>`
      select ${name} || to_jsonb(t)::text as row from ${sql.table(name)} as t`.execute(db);
    all.push(...rows.map(({ row }) => row));
  }
  return all.toSorted();
}

async function readNames(db: Kysely<EventStoreSchema>): Promise<readonly string[]> {
  const { rows } = await sql<{ name: string }>`
    select relkind::text || ' ' || relname as name from pg_class
      where relnamespace = current_schema()::regnamespace and relname not like 'pg_toast%'
    union all select 'trigger ' || tgname from pg_trigger join pg_class on pg_class.oid = tgrelid
      where relnamespace = current_schema()::regnamespace and not tgisinternal
    union all select 'function ' || proname from pg_proc
      where pronamespace = current_schema()::regnamespace
    union all select 'constraint ' || conname from pg_constraint
      where connamespace = current_schema()::regnamespace
    order by 1`.execute(db);
  return rows.map(({ name }) => name);
}

/** A wish with nothing special about it. */
export function wish(parts: Partial<RebuildWish> = {}): RebuildWish {
  const { signal } = new AbortController();
  return { checkOnly: false, acceptDifferences: false, signal, onProgress: () => {}, ...parts };
}
