import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import { migrateToLatest } from '@lethe/platform/database/migrate.ts';
import type { EventLog } from '@lethe/platform/event-log/port.ts';
import { createInProcessNetwork } from '@lethe/platform/grpc/in-process.ts';
import type { Peers } from '@lethe/platform/grpc/handler.ts';
import { registerService } from '@lethe/platform/grpc/register.ts';
import { openTestDatabase } from '@lethe/platform/testing/test-database.ts';
import { openTestEventLog, type TestEventLog } from '@lethe/platform/testing/test-event-log.ts';
import {
  type SequenceRange,
  SequenceServiceService,
} from '@lethe/proto/gen/lethe/log/v1/service.ts';
import { migrations } from '../migrations/migrations.ts';
import type { AnalyticsDatabase, AnalyticsSchema } from '../store.ts';
import { readChunks } from './read-chunks.ts';

const topics = ['tickets.v1', 'usage.v1'] as const;
const manifestId = '0198c1de-5f00-7abc-8def-00000000c001';

describe('reading the chunks of the ledger', () => {
  let db: AnalyticsDatabase;
  let testLog: TestEventLog;

  beforeEach(async function () {
    this.timeout(60_000);
    db = await openTestDatabase<AnalyticsSchema>('read_chunks');
    await migrateToLatest(db, migrations);
    testLog = openTestEventLog(new Map(topics.map((topic) => [topic, 1])));
  });

  afterEach(async () => testLog.close());

  async function append(topic: (typeof topics)[number], count: number): Promise<void> {
    const writer = await testLog.log.openWriter({ topic, partition: 0 });
    const writes = Array.from({ length: count }, () => ({
      kind: 'record' as const,
      eventId: randomBytes(16),
      value: Buffer.alloc(0),
      recordedAtMs: 1,
    }));
    await writer.append(1n, writes);
    await writer.close();
  }

  /** As the projection commits a chunk of both topics. */
  async function commitChunk(tickets: bigint, usage: bigint): Promise<void> {
    await db.transaction().execute(async (tx) => {
      await sql`insert into checkpoints (topic, partition, sequence, next_offset)
        values ('tickets.v1', 0, ${tickets}, ${tickets}), ('usage.v1', 0, ${usage}, ${usage})`.execute(
        tx,
      );
      await sql`insert into chunk_manifests
          (manifest_id, projection_version, state, committed_at_ms, decision_count, decisions)
        values (${manifestId}, 1, 'done', 1, 0, ''::bytea)`.execute(tx);
      await sql`insert into manifest_ranges
          (topic, partition, first_sequence, last_sequence, records, manifest_id)
        values ('tickets.v1', 0, 1, ${tickets}, ${tickets}, ${manifestId}),
          ('usage.v1', 0, 1, ${usage}, ${usage}, ${manifestId})`.execute(tx);
    });
  }

  async function chunksOf(
    eventLog: EventLog,
    erased: readonly SequenceRange[] = [],
  ): Promise<readonly (readonly number[])[]> {
    const chunks: number[][] = [];
    const { signal } = new AbortController();
    for await (const { parts } of readChunks(
      { db, eventLog, peers: peersOf(erased), topics, signal },
      () => {},
    )) {
      chunks.push(parts.map(({ records }) => records.length));
    }
    return chunks;
  }

  it('gives a chunk once all its parts were read', async () => {
    await append('tickets.v1', 3);
    await append('usage.v1', 5);
    await commitChunk(3n, 4n);
    const [parts = []] = await chunksOf(testLog.log);
    assert.deepEqual(
      parts.toSorted((a, b) => a - b),
      [3, 4],
    );
  });

  it('takes sequences that their owner lists as erased for that', async () => {
    await append('tickets.v1', 3);
    await append('usage.v1', 5);
    await commitChunk(6n, 5n);
    const [parts = []] = await chunksOf(testLog.log, [{ fromSequence: 4n, toSequence: 6n }]);
    assert.equal(parts.length, 2);
  });

  it('stops at a sequence that is neither on the log nor listed as erased', async () => {
    await append('tickets.v1', 3);
    await append('usage.v1', 5);
    await commitChunk(6n, 5n);
    const reading = chunksOf(testLog.log, [{ fromSequence: 5n, toSequence: 6n }]);
    await assert.rejects(reading, /tickets\.v1\/0: 4 are neither/);
  });

  it('waits for no part of a chunk that is committed between two of its first questions', async () => {
    await append('tickets.v1', 10);
    // More than a partition may be ahead of the others, and more behind it.
    await append('usage.v1', 7_000);
    const { log } = testLog;
    let isCommitted = false;
    const eventLog: EventLog = {
      openReader: (options) => log.openReader(options),
      openWriter: (at) => log.openWriter(at),
      partitionsOf: (topic) => log.partitionsOf(topic),
      endOffsets: async (topic) => {
        if (!isCommitted) await commitChunk(10n, 4_200n);
        isCommitted = true;
        return await log.endOffsets(topic);
      },
      close: () => log.close(),
    };
    assert.deepEqual(await chunksOf(eventLog), []);
  });
});

/** Owners that list the same sequences, whichever topic is asked for. */
function peersOf(erased: readonly SequenceRange[]): Peers {
  const network = createInProcessNetwork();
  for (const owner of ['tickets', 'usage'] as const) {
    network.register(owner, [
      registerService(SequenceServiceService, {
        missing: async () => ({ erased: [...erased] }),
        heads: async () => ({ heads: [], asOf: new Date(0) }),
      }),
    ]);
  }
  return network.peersFor('analytics');
}
