import assert from 'node:assert/strict';
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import fc from 'fast-check';
import { pino } from 'pino';
import { systemClock } from '../lifecycle/clock.ts';
import { createTemporaryFolder } from '../testing/temporary-folder.ts';
import { entriesOf } from '../testing/test-event-log.ts';
import { eventIdNamed, recordNamed } from './contract-support.ts';
import type { EventLog, LogEntry, LogWrite } from './port.ts';
import {
  readLogEnds,
  readRecordsAfter,
  readStoredSequences,
  recordKeysAt,
  restoreRecords,
} from './sqlite-repair.ts';
import { checkSqliteLog, salvageSqliteLog } from './sqlite-salvage.ts';
import { openSqliteEventLog } from './sqlite.ts';

const at = { topic: 'here', partition: 0 };
const records = 200;
const nameOf = (sequence: bigint | number) => `record ${sequence} ${'x'.repeat(400)}`;

describe('a damaged log file', () => {
  const temporary = createTemporaryFolder('salvage');
  after(() => temporary.remove());
  const folder = () => temporary.path;
  const open = (path: string): EventLog =>
    openSqliteEventLog({
      path,
      partitions: new Map([['here', 2]]),
      clock: systemClock,
      logger: pino({ level: 'silent' }),
    });

  /** 200 records of some 400 bytes, the tenth of them erased. */
  async function made(name: string): Promise<string> {
    const path = join(folder(), `${name}.sqlite`);
    const log = open(path);
    const writer = await log.openWriter(at);
    for (let from = 1; from <= records; from += 20) {
      const writes = Array.from({ length: 20 }, (_, index) => recordNamed(nameOf(from + index)));
      await writer.append(BigInt(from), writes);
    }
    await writer.append(201n, [{ kind: 'tombstone', eventId: eventIdNamed(nameOf(10)) }]);
    await log.close();
    return path;
  }
  const sequencesIn = (path: string) =>
    readStoredSequences(path).find(({ partition }) => partition === 0) ?? assert.fail();
  async function entriesIn(path: string): Promise<readonly LogEntry[]> {
    const log = open(path);
    const [entries = []] = await entriesOf(log, 'here');
    await log.close();
    return entries;
  }

  it('is told from a sound one and from none', async () => {
    const path = await made('sound');
    assert.deepEqual(checkSqliteLog(path), { state: 'sound' });
    assert.deepEqual(checkSqliteLog(join(folder(), 'none')), { state: 'missing' });
    const { present, erased, lastSequence } = sequencesIn(path);
    assert.deepEqual([present.length, erased, lastSequence], [199, [10n], 200n]);
  });

  for (const part of [0.3, 0.6, 0.9]) {
    it(`cut off after ${part * 100} %: what is left keeps its sequences and offsets`, async () => {
      const path = await made(`cut-${part}`);
      const before = readRecordsAfter(path, at, 0n, 1_000);
      truncateSync(path, Math.floor((statSync(path).size * part) / 4096) * 4096);
      assert.equal(checkSqliteLog(path).state, 'damaged');
      assert.throws(() => open(path), { reason: 'STORE_DAMAGED' });
      const aside = `${path}.damaged`;
      const salvaged = salvageSqliteLog(path, aside);
      assert.deepEqual(checkSqliteLog(path), { state: 'sound' });
      assert.ok(existsSync(aside), 'the damaged file is kept');
      const after = readRecordsAfter(path, at, 0n, 1_000);
      assert.ok(after.length > 0 && after.length < before.length);
      assert.equal(salvaged.entries + salvaged.lost, records + 1);
      const bySequence = new Map(before.map((record) => [record.sequence, record]));
      for (const record of after) assert.deepEqual(record, bySequence.get(record.sequence));
    });
  }

  it('with a page of noise in its midst: what lay there can be put back, and is read in order', async () => {
    const path = await made('noise');
    const before = readRecordsAfter(path, at, 0n, 1_000);
    const file = openSync(path, 'r+');
    writeSync(
      file,
      Buffer.alloc(4096, 0x5a),
      0,
      4096,
      4096 * Math.floor(statSync(path).size / 4096 / 2),
    );
    closeSync(file);
    assert.equal(checkSqliteLog(path).state, 'damaged');
    salvageSqliteLog(path, `${path}.damaged`);
    const { present } = sequencesIn(path);
    const lost = before.filter(({ sequence }) => !present.includes(sequence));
    assert.ok(lost.length > 0);
    restoreRecords(path, at, lost, { lastSequence: 0n, nextOffset: 0n });
    assert.deepEqual(readRecordsAfter(path, at, 0n, 1_000), before, 'offsets too');
    assert.deepEqual(checkSqliteLog(path), { state: 'sound' });
  });

  it('gets its lost records back where every reader meets them, whatever was lost beside them', async function () {
    this.timeout(60_000);
    const kinds = fc.array(fc.constantFrom('record', 'tick', 'tombstone'), {
      minLength: 1,
      maxLength: 30,
    });
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(kinds, fc.infiniteStream(fc.boolean()), async (written, isLost) => {
        runs += 1;
        const path = join(folder(), `lost-${runs}.sqlite`);
        const log = open(path);
        const writer = await log.openWriter(at);
        let last = 0n;
        const writes = written.map((kind): LogWrite => {
          if (kind === 'tick') return { kind, lastSequence: last };
          if (kind === 'tombstone') return { kind, eventId: eventIdNamed('of no record') };
          last += 1n;
          return recordNamed(nameOf(last));
        });
        await writer.append(1n, writes);
        await log.close();
        const before = readRecordsAfter(path, at, 0n, 100);
        const db = new DatabaseSync(path);
        for (const offset of written.keys()) {
          const { value } = isLost.next();
          if (value === true) db.prepare('delete from entries where "offset" = ?').run(offset);
        }
        db.close();
        const { present } = sequencesIn(path);
        const lost = before.filter(({ sequence }) => !present.includes(sequence));
        restoreRecords(path, at, lost, { lastSequence: 0n, nextOffset: 0n });
        const offsets = new Map(before.map(({ sequence, offset }) => [sequence, offset]));
        // In order, none before a checkpoint that it was behind, and none behind a tick that tells of it.
        let sequence = 0n;
        for (const entry of await entriesIn(path)) {
          if (entry.kind === 'tick') assert.ok(entry.lastSequence <= sequence);
          if (entry.kind !== 'record') continue;
          sequence += 1n;
          assert.equal(entry.sequence, sequence);
          assert.ok(entry.offset >= (offsets.get(sequence) ?? 0n));
        }
        assert.equal(sequence, last);
      }),
      { numRuns: 60 },
    );
  });

  it('is read whole a second time, with what a first repair put back', async () => {
    const path = await made('twice');
    const before = readRecordsAfter(path, at, 0n, 1_000);
    const db = new DatabaseSync(path);
    db.exec('delete from entries where sequence between 50 and 59');
    db.close();
    const lost = before.filter(({ sequence }) => sequence >= 50n && sequence < 60n);
    restoreRecords(path, at, lost, { lastSequence: 0n, nextOffset: 0n });
    salvageSqliteLog(path, `${path}.aside`);
    assert.deepEqual(readRecordsAfter(path, at, 0n, 1_000), before);
  });

  it('that is no database at all stays as it was, and nothing else is left', async () => {
    const path = join(folder(), 'noise-alone.sqlite');
    writeFileSync(path, 'no database');
    assert.equal(checkSqliteLog(path).state, 'damaged');
    assert.throws(() => salvageSqliteLog(path, `${path}.aside`));
    const left = readdirSync(folder()).filter((name) => name.startsWith('noise-alone'));
    assert.deepEqual(left, ['noise-alone.sqlite']);
  });

  it('goes on where its owner and its consumers are, never below', async () => {
    const path = await made('ends');
    restoreRecords(path, at, [], { lastSequence: 250n, nextOffset: 900n });
    restoreRecords(path, at, [], { lastSequence: 1n, nextOffset: 1n });
    const [end] = readLogEnds(path);
    assert.deepEqual([end?.lastSequence, end?.nextOffset], [250n, 900n]);
    const log = open(path);
    const writer = await log.openWriter(at);
    assert.equal(writer.lastSequence, 250n);
    await writer.append(251n, [recordNamed('next')]);
    await log.close();
    assert.equal(readRecordsAfter(path, at, 250n, 10)[0]?.offset, 900n);
    assert.deepEqual(
      recordKeysAt(path, at, [251n, 252n]).map((key) => Buffer.from(key)),
      [eventIdNamed('next')],
    );
  });
});
