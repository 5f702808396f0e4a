import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { pino } from 'pino';
import { systemClock } from '../lifecycle/clock.ts';
import { until } from '../testing/until.ts';
import { eventLogContract } from './contract.ts';
import { eventIdNamed, readToEnd } from './contract-support.ts';
import type { EventLog, LogWrite } from './port.ts';
import { openSqliteEventLog } from './sqlite.ts';

const partitions = new Map([
  ['first.v1', 3],
  ['second.v1', 4],
]);
const topics = ['first.v1', 'second.v1'] as const;
const first = { topic: 'first.v1', partition: 0 };

function openLogAt(path: string, pollIntervalMs = 10): EventLog {
  const logger = pino({ level: 'silent' });
  return openSqliteEventLog({
    path,
    partitions,
    clock: systemClock,
    logger,
    pollIntervalMs,
    idleMs: 1,
  });
}

describe('event log in SQLite', () => {
  let folder: string;
  let path: string;
  const opened: EventLog[] = [];
  const openAt = (file: string, pollIntervalMs?: number): EventLog => {
    const log = openLogAt(file, pollIntervalMs);
    opened.push(log);
    return log;
  };
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'lethe-log-'));
    path = join(folder, 'log.sqlite');
  });
  afterEach(async () => {
    for (const log of opened.splice(0)) await log.close();
    rmSync(folder, { recursive: true });
  });

  eventLogContract('SQLite', async () => {
    const log = openAt(path);
    return {
      log,
      topics,
      openAgain: async () => openAt(path),
      keepsOlderOfOneId: true,
      compacted: async () => {},
      destroy: async () => {},
    };
  });

  const valueNamed = (name: string, sizeBytes: number): Buffer =>
    Buffer.alloc(sizeBytes, `<canary ${name}>`);
  const recordOf = (name: string, sizeBytes: number): LogWrite => ({
    kind: 'record',
    eventId: eventIdNamed(name),
    value: valueNamed(name, sizeBytes),
    recordedAtMs: 1,
  });
  const bytesOfFiles = (): Buffer =>
    Buffer.concat(
      ['', '-wal', '-shm']
        .map((suffix) => path + suffix)
        .filter((file) => existsSync(file))
        .map((file) => readFileSync(file)),
    );
  const filesContain = (text: string): boolean => bytesOfFiles().includes(text);

  it('keeps everything across restarts', async () => {
    const log = openAt(path);
    const writer = await log.openWriter(first);
    await writer.append(1n, [recordOf('kept', 100)]);
    await log.close();
    const again = openAt(path);
    assert.equal((await again.openWriter(first)).lastSequence, 1n);
    assert.deepEqual(await again.endOffsets('first.v1'), [1n, 0n, 0n]);
    await again.close();
  });

  it('leaves no byte of an erased record in its files, of any size, and all of the others', async () => {
    const log = openAt(path);
    const sizes = [40, 300, 1_000, 3_000, 5_000, 60_000];
    const names = Array.from(
      { length: 600 },
      (_, index) => `${index}-${randomBytes(8).toString('hex')}`,
    );
    const erased = names.filter((_, index) => index % 3 === 0);
    const writers = await Promise.all(
      [0, 1, 2].map((partition) => log.openWriter({ topic: 'first.v1', partition })),
    );
    for (const [index, name] of names.entries()) {
      const size = sizes[index % sizes.length] ?? 0;
      await writers[index % 3]?.append(BigInt(Math.floor(index / 3) + 1), [recordOf(name, size)]);
    }
    const before = bytesOfFiles();
    assert.ok(
      names.every((name) => before.includes(name)),
      'the search finds what is there',
    );
    const tombstones = erased.map(
      (name) => ({ kind: 'tombstone', eventId: eventIdNamed(name) }) as const,
    );
    await writers[0]?.append(0n, tombstones);
    // Nobody closes the log: an idle moment is enough.
    let after = before;
    await until(() => {
      after = bytesOfFiles();
      return !erased.some((name) => after.includes(name));
    });
    assert.ok(names.every((name) => erased.includes(name) || after.includes(name)));
    await log.close();
  }).timeout(30_000);

  it('hands out large values in several polls, and forgets them all the same', async () => {
    const log = openAt(path);
    const writer = await log.openWriter(first);
    const names = Array.from(
      { length: 12 },
      (_, index) => `large-${randomBytes(8).toString('hex')}-${index}`,
    );
    for (const [index, name] of names.entries()) {
      await writer.append(BigInt(index + 1), [recordOf(name, 900 * 1024)]);
    }
    const startAt = async (assigned: readonly unknown[]): Promise<bigint[]> =>
      assigned.map(() => 0n);
    const reader = await log.openReader({ group: 'large', topics, startAt });
    const [batch] = await reader.poll({ recordsMax: 100, waitMs: 0 });
    const handedOut = batch?.entries.length ?? 0;
    assert.ok(handedOut > 1 && handedOut < names.length, `${handedOut} of ${names.length}`);
    // A statement that was left in the middle would keep the write-ahead log from being emptied.
    const tombstones = names.map(
      (name) => ({ kind: 'tombstone', eventId: eventIdNamed(name) }) as const,
    );
    await writer.append(0n, tombstones);
    await until(() => {
      const bytes = bytesOfFiles();
      return !names.some((name) => bytes.includes(name));
    });
    const rest = await readToEnd(log, reader, topics);
    assert.ok(rest.get('first.v1/0')?.every((entry) => entry.kind === 'tombstone'));
  }).timeout(30_000);

  it('drives erased bytes out at the next start when the process died before it could', async () => {
    const log = openAt(path);
    const writer = await log.openWriter(first);
    await writer.append(1n, [recordOf('left in the write-ahead log', 2_000)]);
    // A second connection that reads keeps the write-ahead log from being emptied, as a kill would.
    const pinning = new DatabaseSync(path);
    pinning.exec('begin; select count(*) from entries');
    await writer.append(2n, [
      { kind: 'tombstone', eventId: eventIdNamed('left in the write-ahead log') },
    ]);
    const copied = join(folder, 'killed.sqlite');
    for (const suffix of ['', '-wal']) copyFileSync(path + suffix, copied + suffix);
    pinning.close();
    await log.close();
    path = copied;
    assert.ok(filesContain('<canary left in the write-ahead log>'));
    const after = openAt(copied);
    await until(() => !filesContain('<canary left in the write-ahead log>'));
    const reader = await after.openReader({
      group: 'after',
      topics,
      startAt: async (assigned) => assigned.map(() => 0n),
    });
    const entries = await readToEnd(after, reader, topics);
    assert.deepEqual(
      entries.get('first.v1/0')?.map((entry) => entry.kind),
      ['tombstone'],
    );
    await after.close();
  }).timeout(30_000);

  it('refuses a file that is no event log, naming the path', () => {
    writeFileSync(
      path,
      'this is not a database, and it is long enough to have a header'.repeat(100),
    );
    assert.throws(() => openAt(path), {
      reason: 'STORE_DAMAGED',
      message: new RegExp(path),
    });
  });

  it('says which file is damaged when the damage lies deeper', async () => {
    const log = openAt(path);
    const writer = await log.openWriter(first);
    for (let sequence = 1n; sequence <= 50n; sequence += 1n) {
      await writer.append(sequence, [recordOf(`record ${sequence}`, 4_000)]);
    }
    await log.close();
    const bytes = readFileSync(path);
    writeFileSync(path, bytes.fill(0xa5, 8_192));
    const readAll = async (): Promise<void> => {
      const damaged = openAt(path);
      try {
        const reader = await damaged.openReader({
          group: 'damaged',
          topics,
          startAt: async (assigned) => assigned.map(() => 0n),
        });
        await readToEnd(damaged, reader, topics);
      } finally {
        await damaged.close();
      }
    };
    await assert.rejects(readAll(), { reason: 'STORE_DAMAGED', message: new RegExp(path) });
  });

  it('refuses a file that a newer version made', async () => {
    await openAt(path).close();
    const db = new DatabaseSync(path);
    db.exec('pragma user_version = 99');
    db.close();
    assert.throws(() => openAt(path), { reason: 'DATA_FOLDER_NEWER' });
  });

  it('gains partitions when the manifest raises their number, and does not lose them again', async () => {
    await openAt(path).close();
    const log = openSqliteEventLog({
      path,
      partitions: new Map([['first.v1', 5]]),
      clock: systemClock,
      logger: pino({ level: 'silent' }),
    });
    assert.equal((await log.endOffsets('first.v1')).length, 5);
    await log.close();
    const message = /has 5 partitions of first\.v1, and this version knows \d/;
    assert.throws(() => openAt(path), { reason: 'DATA_FOLDER_NEWER', message });
  });

  it('wakes the readers of its own process at once, without their poll', async () => {
    const log = openAt(path, 600_000);
    const startAt = async (assigned: readonly unknown[]): Promise<bigint[]> =>
      assigned.map(() => 0n);
    const reader = await log.openReader({ group: 'woken', topics, startAt });
    const waiting = reader.poll({ recordsMax: 1, waitMs: 600_000 });
    const writer = await log.openWriter(first);
    await writer.append(1n, [recordOf('awaited', 40)]);
    const [batch] = await waiting;
    assert.equal(batch?.entries.length, 1);
  });

  it('answers nothing after it was closed', async () => {
    const log = openAt(path);
    await log.close();
    await log.close();
    await assert.rejects(log.openWriter(first), { reason: 'SHUTTING_DOWN' });
    await assert.rejects(log.endOffsets('first.v1'), { reason: 'SHUTTING_DOWN' });
  });
});
