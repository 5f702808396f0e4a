import assert from 'node:assert/strict';
import { sql } from 'kysely';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { TenantId } from '@lethe/platform/ids/ids.ts';
import { systemClock } from '@lethe/platform/lifecycle/clock.ts';
import { createLogger } from '@lethe/platform/log/logger.ts';
import { recordWrite } from '@lethe/platform/testing/log-records.ts';
import type { Record as LogRecord } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import { createGate } from '../ledger/gate.ts';
import type { Projection } from '../projection/projection.ts';
import { createProjectionWorld, type ProjectionWorld } from '../testing/projection-world.ts';
import { sampleEvent } from '../testing/sample-events.ts';
import { sealRecord } from '../testing/sealed-records.ts';
import { freshTables } from './fresh-ledger.ts';
import { createWorkTable } from './rebuild-store.ts';
import {
  type LedgerRebuildPorts,
  type LedgerRebuildReport,
  type LedgerRebuildWish,
  rebuildLedger,
  recoverLedger,
} from './rebuild-ledger.ts';

const topics = ['tickets.v1', 'predictions.v1', 'usage.v1'] as const;
const partitions = [
  ['tickets.v1', 0],
  ['tickets.v1', 3],
  ['usage.v1', 1],
] as const;

describe('the rebuild of the ledger', () => {
  let world: ProjectionWorld;
  let projection: Projection;

  beforeEach(async function () {
    this.timeout(60_000);
    world = await createProjectionWorld('rebuild-ledger');
    // Small chunks over several partitions.
    projection = await world.open({ recordsMax: 7 });
  });

  afterEach(async () => {
    await projection.close();
    await world.destroy();
  });

  function recordsOf(place: number, count: number, offset = 0): LogRecord[] {
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

  async function fill(count: number, offset = 0): Promise<readonly LogRecord[]> {
    const all: LogRecord[] = [];
    for (const [place, [topic, partition]] of partitions.entries()) {
      const records = recordsOf(place, count, offset);
      all.push(...records);
      await world.append(topic, partition, records);
    }
    await world.drain(projection);
    return all;
  }

  function ports(parts: Partial<LedgerRebuildPorts> = {}): LedgerRebuildPorts {
    return {
      db: world.db,
      eventLog: world.log,
      ledger: world.ledger,
      keyClient: world.keys.keyClient,
      peers: world.peers,
      topics,
      turn: createGate(1),
      clock: systemClock,
      logger: createLogger({ service: 'analytics', level: 'silent' }),
      ...parts,
    };
  }

  function rebuild(
    wish: Partial<LedgerRebuildWish> = {},
    parts: Partial<LedgerRebuildPorts> = {},
  ): Promise<LedgerRebuildReport> {
    const { signal } = new AbortController();
    const plain = { checkOnly: false, acceptDifferences: false, signal, onProgress: () => {} };
    return rebuildLedger(ports(parts), { ...plain, ...wish });
  }

  function differencesOf({ families }: LedgerRebuildReport): number {
    return families.reduce((sum, { differing }) => sum + differing, 0);
  }

  async function chunkCount(): Promise<number> {
    const { rows } = await sql<{ chunks: bigint }>`
      select count(*) as chunks from chunk_manifests`.execute(world.db);
    return Number(rows[0]?.chunks);
  }

  /** Takes a record off the log, as the tombstone of an erasure does, and lists it. */
  async function erase(topic: 'tickets.v1', partition: number, index: number, record: LogRecord) {
    const { eventId } = recordWrite(record);
    await world.appendRaw(topic, partition, 100n, [{ kind: 'tombstone', eventId }]);
    const at = BigInt(index + 1);
    world.owners[topic].erased.push({ fromSequence: at, toSequence: at });
  }

  it('refolds every chunk and gives the same cells, row for row', async () => {
    await fill(30);
    const cells = await world.cells();
    const report = await rebuild();
    assert.equal(report.swapped, true);
    assert.equal(differencesOf(report), 0);
    assert.deepEqual(report.broken, []);
    assert.equal(report.chunksRefolded, await chunkCount());
    assert.equal(report.chunksCopied, 0);
    assert.equal(report.recordsRead, 90);
    assert.ok(report.families.every(({ live, fresh }) => live === fresh));
    assert.deepEqual(await world.cells(), cells);
    assert.deepEqual(await freshTables(world.ledger.statements), []);
  });

  it('goes on projecting into the tables that it swapped in', async () => {
    await fill(10);
    await rebuild();
    await fill(10, 10);
    const report = await rebuild({ checkOnly: true });
    assert.equal(report.swapped, false);
    assert.equal(differencesOf(report), 0);
    assert.equal(report.chunksRefolded, await chunkCount());
  });

  it('copies the chunks of erased records by their hash and names them; no total changes', async () => {
    const records = await fill(30);
    const cells = await world.cells();
    const chunks = await chunkCount();
    for (const index of [4, 20]) {
      const record = records[index];
      assert.ok(record !== undefined);
      await erase('tickets.v1', 0, index, record);
    }
    const report = await rebuild();
    assert.equal(report.swapped, true);
    assert.equal(differencesOf(report), 0);
    assert.ok(report.chunksCopied >= 1 && report.chunksCopied <= 2);
    assert.equal(report.chunksRefolded, chunks - report.chunksCopied);
    const erased = report.copied.flatMap(({ why, parts }) => {
      assert.equal(why, 'erased');
      return parts.filter((part) => part.erased > 0);
    });
    assert.equal(
      erased.reduce((sum, part) => sum + part.erased, 0),
      2,
    );
    for (const part of erased) assert.deepEqual([part.topic, part.partition], ['tickets.v1', 0]);
    assert.ok(erased.some((part) => part.firstSequence <= 5n && part.lastSequence >= 5n));
    assert.deepEqual(await world.cells(), cells);
  });

  it('copies what was parked and replayed, and leaves out of a chunk what was parked there', async () => {
    await fill(12);
    // As if the third record of a partition had been parked, and folded by a replay later.
    await fillParked();
    const cells = await world.cells();
    const report = await rebuild();
    assert.deepEqual(report.broken, []);
    assert.equal(differencesOf(report), 0);
    assert.deepEqual(
      report.copied.map(({ why }) => why),
      ['parked'],
    );
    assert.deepEqual(await world.cells(), cells);
  });

  /** A chunk that passed over its second record, and the manifest of a replay, made from a chunk that there is. */
  async function fillParked(): Promise<void> {
    const [record, poison, last] = recordsOf(0, 3, 50);
    assert.ok(record !== undefined && poison !== undefined && last !== undefined);
    const writes = [record, poison, last].map(recordWrite);
    const [first, second, third] = writes;
    assert.ok(first !== undefined && second !== undefined && third !== undefined);
    const spoilt = { ...second, value: Buffer.from('ffff', 'hex') };
    await world.appendRaw('tickets.v1', 0, 13n, [first, spoilt, third]);
    await world.drain(projection);
    const { rows } = await sql<{ sequence: bigint }>`select sequence from manifest_skips`.execute(
      world.db,
    );
    assert.deepEqual(rows, [{ sequence: 14n }]);
    await sql`insert into chunk_manifests (manifest_id, projection_version, state, committed_at_ms,
        decision_count, decisions)
      values ('0198c1de-5f00-7abc-8def-0000000000aa', 1, 'done', 1, 0, '')`.execute(world.db);
  }

  describe('when something is wrong', () => {
    async function command(text: string): Promise<void> {
      await world.ledger.statements.command(text);
    }

    it('finds rows that the live tables lost, and puts them back when differences are accepted', async () => {
      await fill(20);
      const cells = await world.cells();
      const { database } = world.ledger.statements;
      await command(
        `DELETE FROM ${database}.usage WHERE tenant_id = 'acme' SETTINGS mutations_sync = 2`,
      );
      const report = await rebuild();
      assert.equal(report.swapped, false);
      assert.ok(differencesOf(report) > 0);
      const usage = report.families.find(({ name }) => name === 'usage');
      assert.ok(usage !== undefined && usage.live < usage.fresh);
      assert.equal(usage.fresh - usage.live, usage.differing);
      for (const row of usage.first) {
        assert.equal(row.kind, 'missing in the live table');
        assert.match(row.row, /^acme\//);
      }
      assert.notDeepEqual(await world.cells(), cells);
      const mended = await rebuild({ acceptDifferences: true });
      assert.equal(mended.swapped, true);
      assert.deepEqual(await world.cells(), cells);
    });

    it('finds a row that was altered, by its key and column', async () => {
      await fill(20);
      const { database } = world.ledger.statements;
      const altered = await sql<{ manifest_id: string }>`
        select manifest_id from manifest_inserts where family = 'usage' limit 1`.execute(world.db);
      const manifestId = altered.rows[0]?.manifest_id ?? '';
      await command(
        `ALTER TABLE ${database}.usage UPDATE exact_used = exact_used + 1
         WHERE manifest_id = '${manifestId}' SETTINGS mutations_sync = 2`,
      );
      const report = await rebuild();
      assert.equal(report.swapped, false);
      const rows = report.families.flatMap(({ first }) => first);
      assert.ok(rows.length > 0);
      for (const row of rows) {
        assert.deepEqual([row.table, row.kind, row.columns], ['usage', 'differs', ['exact_used']]);
        assert.ok(row.row.endsWith(manifestId));
      }
    });

    it('swaps nothing when a chunk folds to other rows, whatever is accepted', async () => {
      await fill(10);
      // The decisions are not those of the fold any more.
      await sql`update chunk_manifests set decision_count = decision_count + 1
        where manifest_id = (select manifest_id from chunk_manifests limit 1)`.execute(world.db);
      const report = await rebuild({ acceptDifferences: true });
      assert.equal(report.swapped, false);
      assert.deepEqual(
        report.broken.map(({ kind }) => kind),
        ['folds to other rows'],
      );
    });

    it('swaps nothing when stored rows do not match their hash', async () => {
      await fill(10);
      await sql`update manifest_inserts set body = body || '\\x31'
        where (manifest_id, family, month) = (
          select manifest_id, family, month from manifest_inserts limit 1)`.execute(world.db);
      const report = await rebuild({ acceptDifferences: true });
      assert.equal(report.swapped, false);
      assert.deepEqual(
        report.broken.map(({ kind }) => kind),
        ['stored rows do not match their hash'],
      );
    });
  });

  it('loses no chunk that is committed while it runs', async () => {
    await fill(10);
    const turn = createGate(1);
    let isFirst = true;
    const keyClient: LedgerRebuildPorts['keyClient'] = {
      leaseForOpen: async (tenantId, requests) => {
        if (isFirst) {
          isFirst = false;
          await fill(10, 10);
        }
        return world.keys.keyClient.leaseForOpen(tenantId, requests);
      },
    };
    const report = await rebuild({}, { keyClient, turn });
    assert.equal(report.swapped, true);
    assert.ok(report.chunksMeanwhile > 0);
    const check = await rebuild({ checkOnly: true });
    assert.equal(differencesOf(check), 0);
    assert.equal(check.chunksRefolded, await chunkCount());
  });

  it('loses no chunk that another process inserts into the old tables at the last moment', async () => {
    await fill(10);
    const { statements } = world.ledger;
    const command: typeof statements.command = async (text) => {
      // Committed and inserted just before the first exchange.
      if (text.includes('EXCHANGE') && text.includes('.ticket_flow')) await fill(10, 10);
      await statements.command(text);
    };
    const ledger = { ...world.ledger, statements: { ...statements, command } };
    const report = await rebuild({}, { ledger });
    assert.equal(report.swapped, true);
    assert.equal(differencesOf(await rebuild({ checkOnly: true })), 0);
  });

  it('starts all the same while somebody holds the table of its work, and says that it stays', async () => {
    await createWorkTable(world.db);
    const lines: string[] = [];
    const destination = { write: (line: string) => lines.push(line) };
    const logger = createLogger({ service: 'test', level: 'warn', destination });
    const db = world.db.withPlugin({
      transformQuery: ({ node }) => {
        if (JSON.stringify(node).includes('drop table rebuild_chunks'))
          throw new ServiceError('STORE_UNAVAILABLE');
        return node;
      },
      transformResult: async ({ result }) => result,
    });
    assert.equal(await recoverLedger({ ...ports(), db, logger }), true);
    assert.match(lines.join(), /work of an unfinished rebuild stays/);
    assert.equal(await recoverLedger(ports()), true);
    assert.equal(await recoverLedger(ports()), false);
  });

  it('refuses a second one at the same time', async () => {
    await fill(5);
    let second: unknown;
    const keyClient: LedgerRebuildPorts['keyClient'] = {
      leaseForOpen: async (tenantId, requests) => {
        second ??= await rebuild().catch((error: unknown) => error);
        return world.keys.keyClient.leaseForOpen(tenantId, requests);
      },
    };
    assert.equal((await rebuild({}, { keyClient })).swapped, true);
    assert.ok(second instanceof ServiceError);
    assert.equal(second.reason, 'REBUILD_RUNNING');
  });

  for (const [name, dies] of [
    ['before the exchange', (text: string) => text.includes('EXCHANGE')],
    ['in the middle of it', (text: string) => /EXCHANGE.*\.usage$/.test(text)],
  ] as const) {
    it(`keeps every chunk when the process dies ${name}`, async () => {
      await fill(10);
      const { statements } = world.ledger;
      let isDead = false;
      const command: typeof statements.command = async (text) => {
        if (text.includes('EXCHANGE') && text.includes('.ticket_flow')) await fill(10, 10);
        isDead ||= dies(text);
        if (isDead) throw new Error('dead');
        await statements.command(text);
      };
      const rows: typeof statements.rows = async (text, parameters) => {
        if (isDead) throw new Error('dead');
        return statements.rows(text, parameters);
      };
      const ledger = { ...world.ledger, statements: { ...statements, command, rows } };
      await assert.rejects(rebuild({}, { ledger }), /dead/);
      assert.notDeepEqual(await freshTables(statements), []);
      // The next start: what is left goes, and the projection inserts what only the old tables have.
      assert.equal(await recoverLedger(ports()), true);
      await projection.close();
      projection = await world.open();
      await world.drain(projection);
      assert.deepEqual(await freshTables(statements), []);
      const check = await rebuild({ checkOnly: true });
      assert.equal(differencesOf(check), 0);
      assert.equal(check.chunksRefolded, await chunkCount());
    });
  }
});
