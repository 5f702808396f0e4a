import assert from 'node:assert/strict';
import { systemClock } from '@lethe/platform/lifecycle/clock.ts';
import { createInProcessNetwork } from '@lethe/platform/grpc/in-process.ts';
import {
  emptyRecord,
  openTestLog,
  recordWrite,
  type TestLog,
} from '@lethe/platform/testing/log-records.ts';
import { OwnedPartitions } from './owned-partitions.ts';
import { chunkBytesMax, readChunk } from './read-chunk.ts';

const topic = 'tickets.v1';
const recordBytes = 900 * 1024;
/** Far behind: several chunks of records of the largest size, over two partitions. */
const recordsEach = 60;

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
    const reader = await testLog.log.openReader({
      group: 'test',
      topics: [topic],
      startAt: async (assigned) => {
        for (const at of assigned) owned.assign(at, { sequence: 0n, nextOffset: 0n });
        return assigned.map(() => 0n);
      },
    });
    const ports = {
      reader,
      owned,
      peers: createInProcessNetwork().peersFor('analytics'),
      clock: systemClock,
      recordsMax: 20_000,
      fillMs: 2_000,
      idleMs: 0,
    };
    const sizes: number[] = [];
    for (;;) {
      const read = await readChunk(ports, new AbortController().signal);
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
