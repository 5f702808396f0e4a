import assert from 'node:assert/strict';
import type { EventLog, LogReader } from '@lethe/platform/event-log/port.ts';
import { systemClock } from '@lethe/platform/lifecycle/clock.ts';
import { createInProcessNetwork } from '@lethe/platform/grpc/in-process.ts';
import {
  emptyRecord,
  openTestLog,
  recordWrite,
  type TestLog,
} from '@lethe/platform/testing/log-records.ts';
import { wrapLog } from '@lethe/platform/testing/wrapped-log.ts';
import { OwnedPartitions } from './owned-partitions.ts';
import { chunkBytesMax, readChunk, type ReadPorts } from './read-chunk.ts';

const topic = 'tickets.v1';
const recordBytes = 900 * 1024;
/** Far behind: several chunks of records of the largest size, over two partitions. */
const recordsEach = 60;

const { signal } = new AbortController();

function portsOf(reader: LogReader, owned: OwnedPartitions): ReadPorts {
  return {
    reader,
    owned,
    peers: createInProcessNetwork().peersFor('analytics'),
    clock: systemClock,
    recordsMax: 20_000,
    fillMs: 2_000,
    idleMs: 0,
  };
}

async function openReader(log: EventLog, owned: OwnedPartitions): Promise<LogReader> {
  return await log.openReader({
    group: 'test',
    topics: [topic],
    startAt: async (assigned) => {
      for (const at of assigned) owned.assign(at, { sequence: 0n, nextOffset: 0n });
      return assigned.map(() => 0n);
    },
  });
}

describe('reading a chunk', function () {
  this.timeout(60_000);
  let testLog: TestLog;
  before(async () => {
    testLog = openTestLog();
    for (const partition of [0, 1]) {
      const writer = await testLog.log.openWriter({ topic, partition });
      for (let first = 0; first < recordsEach; first += 10) {
        const writes = Array.from({ length: 10 }, (_, index) =>
          recordWrite({
            ...emptyRecord(`${partition}/${first + index}`),
            clearPayload: Buffer.alloc(recordBytes),
          }),
        );
        await writer.append(BigInt(first + 1), writes);
      }
      await writer.close();
    }
  });
  after(async () => await testLog.destroy());

  it('holds few bytes at a time however far behind it is, and passes nothing over', async () => {
    const owned = new OwnedPartitions();
    const reader = await openReader(testLog.log, owned);
    const ports = portsOf(reader, owned);
    const sizes: number[] = [];
    for (;;) {
      const read = await readChunk(ports, signal);
      if (read.length === 0) break;
      for (const part of read) owned.get(part).checkpoint = part.to;
      sizes.push(read.reduce((sum, { fresh }) => sum + fresh.length * recordBytes, 0));
    }
    await reader.close();
    const pollBytes = 9 * 1024 * 1024;
    assert.ok(
      sizes.every((bytes) => bytes <= chunkBytesMax + pollBytes),
      `chunks of ${sizes.map((bytes) => Math.round(bytes / 2 ** 20)).join(', ')} MiB`,
    );
    const all = sizes.reduce((sum, bytes) => sum + bytes, 0);
    assert.equal(all, 2 * recordsEach * recordBytes);
  });
});

describe('reading a chunk over a gap', () => {
  let testLog: TestLog;
  beforeEach(() => (testLog = openTestLog()));
  afterEach(async () => await testLog.destroy());

  it('reads each gap again before it asks: what only the reader lost, one after the other, is none', async () => {
    const writer = await testLog.log.openWriter({ topic, partition: 0 });
    const names = ['1', '2', '3', '4', '5', '6'];
    await writer.append(
      1n,
      names.map((name) => recordWrite(emptyRecord(name))),
    );
    await writer.close();
    // Nobody can be asked here: a question fails.
    const lost = [2n, 3n];
    const leaky = wrapLog(testLog.log, async (poll, options) => {
      const batches = await poll(options);
      const drop = batches.length === 0 ? undefined : lost.shift();
      return batches.map((batch) => ({
        ...batch,
        entries: batch.entries.filter((each) => each.kind !== 'record' || each.sequence !== drop),
      }));
    });
    const owned = new OwnedPartitions();
    const reader = await openReader(leaky, owned);
    const read: bigint[] = [];
    for (let chunks = 0; read.length < 6 && chunks < 10; chunks += 1) {
      for (const part of await readChunk(portsOf(reader, owned), signal)) {
        owned.get(part).checkpoint = part.to;
        read.push(...part.fresh.map(({ sequence }) => sequence));
      }
    }
    await reader.close();
    assert.deepEqual(read, [1n, 2n, 3n, 4n, 5n, 6n]);
    assert.deepEqual(lost, []);
  });
});
