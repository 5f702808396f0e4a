import { randomBytes } from 'node:crypto';
import type { ClickHouseClient } from '@clickhouse/client';
import { SequenceServiceService } from '@lethe/proto/gen/lethe/log/v1/service.ts';
import type { Record as LogRecord } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import { topicNamed, type TopicName } from '@lethe/proto/topics.ts';
import { migrateToLatest } from '@lethe/platform/database/migrate.ts';
import type { EventLog, LogWrite } from '@lethe/platform/event-log/port.ts';
import { createInProcessNetwork } from '@lethe/platform/grpc/in-process.ts';
import { registerService } from '@lethe/platform/grpc/register.ts';
import type { Peers } from '@lethe/platform/grpc/handler.ts';
import { newUuid } from '@lethe/platform/ids/new-id.ts';
import type { KeyClient } from '@lethe/platform/key-client/port.ts';
import { systemClock } from '@lethe/platform/lifecycle/clock.ts';
import { createLogger } from '@lethe/platform/log/logger.ts';
import { openTestLog, recordWrite, type TestLog } from '@lethe/platform/testing/log-records.ts';
import { openTestDatabase } from '@lethe/platform/testing/test-database.ts';
import { families } from '../domain/families.ts';
import { columnsOf } from '../domain/fold.ts';
import { createLedger, type Ledger } from '../ledger/ledger.ts';
import { migrations } from '../migrations/migrations.ts';
import { openProjection, type Projection } from '../projection/projection.ts';
import type { Refused } from '../projection/refuse-behind.ts';
import type { AnalyticsDatabase, AnalyticsSchema } from '../store.ts';
import { createTestKeys, type TestKeys } from './sealed-records.ts';
import { freshDatabase, sharedClickHouse } from './shared-clickhouse.ts';

export const countedTopics = ['tickets.v1', 'predictions.v1', 'usage.v1'] as const;

/** What an owner of a topic would answer. */
export interface TestOwner {
  erased: { fromSequence: bigint; toSequence: bigint }[];
  heads: { partition: number; sequence: bigint }[];
  asOf: Date;
}

/** Real PGlite, chdb and SQLite log; owners and keys of the test's own. */
export interface ProjectionWorld {
  readonly db: AnalyticsDatabase;
  readonly ledger: Ledger;
  readonly log: EventLog;
  readonly keys: TestKeys;
  readonly peers: Peers;
  readonly owners: Readonly<Record<(typeof countedTopics)[number], TestOwner>>;
  /** Appends records with the next sequences. */
  append(topic: TopicName, partition: number, records: readonly LogRecord[]): Promise<void>;
  /** Appends anything at a sequence of the test's choice. */
  appendRaw(
    topic: TopicName,
    partition: number,
    firstSequence: bigint,
    writes: readonly LogWrite[],
  ): Promise<void>;
  open(parts?: {
    readonly db?: AnalyticsDatabase;
    readonly ledger?: Pick<Ledger, 'insert'>;
    readonly keyClient?: Pick<KeyClient, 'leaseForOpen'>;
    readonly recordsMax?: number;
    readonly refused?: Refused;
  }): Promise<Projection>;
  /** Rounds until one commits nothing; answers the records committed. */
  drain(projection: Projection): Promise<number>;
  /** Every cell of the ledger without its zeros, repeated inserts taken once. */
  cells(): Promise<ReadonlyMap<string, Readonly<Record<string, string>>>>;
  destroy(): Promise<void>;
}

/** Stores of the caller's in the place of the world's own; the world closes the log. */
export interface ProjectionStores {
  readonly db?: AnalyticsDatabase;
  readonly log?: EventLog;
  readonly clickHouse?: ClickHouseClient;
}

/** The first call in a process boots PGlite: give the hook 30 s. */
export async function createProjectionWorld(
  name: string,
  stores: ProjectionStores = {},
): Promise<ProjectionWorld> {
  const db = stores.db ?? (await openTestDatabase<AnalyticsSchema>(name));
  await migrateToLatest(db, migrations);
  const database = freshDatabase(name);
  const client = stores.clickHouse ?? sharedClickHouse();
  const ledger = createLedger({ client, database, statementsMax: 1 });
  await ledger.createTables();
  const testLog = stores.log === undefined ? openTestLog() : ownedLog(stores.log);
  const { log } = testLog;
  const keys = createTestKeys();
  const owners = {
    'tickets.v1': newOwner(),
    'predictions.v1': newOwner(),
    'usage.v1': newOwner(),
  };
  const peers = peersOf(owners);
  const next = new Map<string, bigint>();
  const appendRaw: ProjectionWorld['appendRaw'] = async (topic, partition, first, writes) => {
    const writer = await log.openWriter({ topic, partition });
    await writer.append(first, writes);
    await writer.close();
  };
  return {
    db,
    ledger,
    log,
    keys,
    peers,
    owners,
    appendRaw,
    append: async (topic, partition, records) => {
      const place = `${topic}/${partition}`;
      const first = next.get(place) ?? 1n;
      next.set(place, first + BigInt(records.length));
      await appendRaw(topic, partition, first, records.map(recordWrite));
    },
    open: async (parts = {}) =>
      openProjection({
        db: parts.db ?? db,
        eventLog: log,
        ledger: parts.ledger ?? ledger,
        keyClient: parts.keyClient ?? keys.keyClient,
        peers,
        clock: systemClock,
        logger: createLogger({ service: 'analytics', level: 'silent' }),
        createManifestId: () => newUuid(systemClock, randomBytes),
        topics: countedTopics,
        ...(parts.refused === undefined ? {} : { refused: parts.refused }),
        chunk: { recordsMax: parts.recordsMax ?? 1_000, fillMs: 0, idleMs: 0 },
      }),
    drain,
    cells: async () => readCells(database),
    destroy: async () => testLog.destroy(),
  };
}

function ownedLog(log: EventLog): TestLog {
  return { log, destroy: async () => await log.close() };
}

function newOwner(): TestOwner {
  return { erased: [], heads: [], asOf: new Date(0) };
}

function peersOf(owners: ProjectionWorld['owners']): Peers {
  const network = createInProcessNetwork();
  for (const topic of countedTopics) {
    network.register(topicNamed(topic).owner, [
      registerService(SequenceServiceService, {
        missing: async () => ({ erased: owners[topic].erased }),
        heads: async () => ({ heads: owners[topic].heads, asOf: owners[topic].asOf }),
      }),
    ]);
  }
  return network.peersFor('analytics');
}

async function drain(projection: Projection): Promise<number> {
  const { signal } = new AbortController();
  let records = 0;
  // A round that only met a gap commits nothing and reads again: two in a row mean the end.
  for (let idle = 0; idle < 2;) {
    const committed = await projection.round(signal);
    records += committed;
    idle = committed === 0 ? idle + 1 : 0;
  }
  return records;
}

async function readCells(database: string): Promise<Map<string, Record<string, string>>> {
  const cells = new Map<string, Record<string, string>>();
  for (const family of families) {
    const key = ['tenant_id', 'hour', ...family.dimensions];
    const columns = columnsOf(family);
    const sums = columns.map((column) => `toString(sum(${column})) AS sum_${column}`);
    const result = await sharedClickHouse().query({
      query: `SELECT concatWithSeparator('/', ${key.join(', ')}) AS cell, ${sums.join(', ')}
        FROM ${database}.${family.name} FINAL GROUP BY ${key.join(', ')}`,
      format: 'JSONEachRow',
    });
    for (const row of await result.json<Record<string, string>>()) {
      const found = columns.map((column) => [column, row[`sum_${column}`] ?? '']);
      const named = found.filter(([, value]) => value !== '0');
      cells.set(`${family.name}/${row['cell'] ?? ''}`, Object.fromEntries(named));
    }
  }
  return cells;
}
