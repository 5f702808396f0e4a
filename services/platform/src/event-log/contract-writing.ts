import assert from 'node:assert/strict';
import {
  assertAscending,
  type ContractContext,
  described,
  eventIdNamed,
  isConflict,
  readToEnd,
  recordNamed,
} from './contract-support.ts';

export function writingContract({ subject, log, first, readerFromStart }: ContractContext): void {
  it('numbers the records of each partition as told and keeps every byte', async () => {
    const second = { topic: subject().topics[0], partition: 1 };
    const large = Buffer.alloc(900 * 1024, 'x');
    const [writer, other] = [await log().openWriter(first()), await log().openWriter(second)];
    assert.equal(writer.lastSequence, 0n);
    await writer.append(1n, [recordNamed('a'), recordNamed('b')]);
    await other.append(1n, [{ ...recordNamed('large'), value: large }]);
    await writer.append(3n, [recordNamed('c')]);
    const entries = await readToEnd(log(), await readerFromStart(), subject().topics);
    const mine = entries.get(`${first().topic}/0`) ?? [];
    assert.deepEqual(described(mine), ['1 a', '2 b', '3 c']);
    assertAscending(mine);
    const [a] = mine;
    assert.ok(a?.kind === 'record');
    assert.deepEqual(Buffer.from(a.eventId), eventIdNamed('a'));
    assert.equal(a.recordedAtMs, recordNamed('a').recordedAtMs);
    const [big] = entries.get(`${first().topic}/1`) ?? [];
    assert.ok(big?.kind === 'record' && large.equals(big.value));
  });

  it('fences older writers, whoever opened the new one', async () => {
    const old = await log().openWriter(first());
    await old.append(1n, [recordNamed('a')]);
    const again = await subject().openAgain();
    const fresh = await again.openWriter(first());
    assert.equal(fresh.lastSequence, 1n);
    await assert.rejects(old.append(2n, [recordNamed('zombie')]), isConflict);
    await fresh.append(2n, [recordNamed('b')]);
    const entries = await readToEnd(log(), await readerFromStart(), subject().topics);
    assert.deepEqual(described(entries.get(`${first().topic}/0`)), ['1 a', '2 b']);
  });

  it('fences per partition', async () => {
    const writer = await log().openWriter(first());
    await log().openWriter({ topic: first().topic, partition: 1 });
    await log().openWriter({ topic: subject().topics[1], partition: 0 });
    await writer.append(1n, [recordNamed('a')]);
  });

  it('stores a sequence at most once, and nothing of a batch that would repeat one', async () => {
    const writer = await log().openWriter(first());
    await writer.append(1n, [recordNamed('a'), recordNamed('b')]);
    const repeat = [
      { kind: 'tick', lastSequence: 1n } as const,
      recordNamed('b'),
      recordNamed('c'),
    ];
    await assert.rejects(writer.append(2n, repeat), isConflict);
    // A commit may be answered before readers see it: the next writer of the partition does not open before.
    await writer.close();
    assert.equal((await log().openWriter(first())).lastSequence, 2n);
    const entries = await readToEnd(log(), await readerFromStart(), subject().topics);
    assert.deepEqual(described(entries.get(`${first().topic}/0`)), ['1 a', '2 b']);
  });

  it('does not let a writer go on after an error', async () => {
    const writer = await log().openWriter(first());
    await writer.append(1n, [recordNamed('a')]);
    await assert.rejects(writer.append(1n, [recordNamed('a')]), isConflict);
    await assert.rejects(writer.append(2n, [recordNamed('b')]), isConflict);
    await writer.close();
    const next = await log().openWriter(first());
    assert.equal(next.lastSequence, 1n);
    await next.append(2n, [recordNamed('b')]);
  });

  it('tells a new writer what became of a batch whose answer was lost', async () => {
    const writer = await log().openWriter(first());
    await writer.append(1n, [recordNamed('a'), recordNamed('b'), recordNamed('c')]);
    const reopened = await log().openWriter(first());
    assert.equal(reopened.lastSequence, 3n);
  });

  it('refuses a partition that does not exist', async () => {
    await assert.rejects(log().openWriter({ topic: first().topic, partition: 999 }));
    await assert.rejects(log().openWriter({ topic: 'no-such-topic', partition: 0 }));
  });
}

export function tombstoneContract({ subject, log, first, readerFromStart }: ContractContext): void {
  const hexNamed = (name: string): string => eventIdNamed(name).toString('hex');

  it('removes the earlier records of the key and no others', async () => {
    const writer = await log().openWriter(first());
    const elsewhere = await log().openWriter({ topic: first().topic, partition: 1 });
    await elsewhere.append(1n, [recordNamed('a')]);
    await writer.append(1n, [recordNamed('a'), recordNamed('b'), recordNamed('c')]);
    await writer.append(4n, [
      { kind: 'tombstone', eventId: eventIdNamed('a') },
      { ...recordNamed('b'), value: Buffer.from('b resealed') },
      { kind: 'tick', lastSequence: 4n },
    ]);
    await subject().compacted();
    const entries = await readToEnd(log(), await readerFromStart(), subject().topics);
    const lines = described(entries.get(`${first().topic}/0`));
    const kept = ['3 c', `tombstone ${hexNamed('a')}`, '4 b resealed', 'tick 4'];
    if (subject().keepsOlderOfOneId) assert.deepEqual(lines, ['2 b', ...kept]);
    // When compaction comes by is the broker's affair: the older one may be there or not.
    else
      assert.deepEqual(
        lines.filter((line) => line !== '2 b'),
        kept,
      );
    assert.deepEqual(described(entries.get(`${first().topic}/1`)), ['1 a']);
  });

  it('keeps the last sequence although its record is gone', async () => {
    const writer = await log().openWriter(first());
    await writer.append(1n, [recordNamed('a'), recordNamed('b')]);
    await writer.append(3n, [
      { kind: 'tombstone', eventId: eventIdNamed('a') },
      { kind: 'tombstone', eventId: eventIdNamed('b') },
      { kind: 'tick', lastSequence: 2n },
    ]);
    await subject().compacted();
    const again = await log().openWriter(first());
    assert.equal(again.lastSequence, 2n);
    await again.append(3n, [recordNamed('c')]);
    const reader = await readerFromStart();
    const entries = await readToEnd(log(), reader, subject().topics);
    assert.deepEqual(described(entries.get(`${first().topic}/0`)), [
      `tombstone ${hexNamed('a')}`,
      `tombstone ${hexNamed('b')}`,
      'tick 2',
      '3 c',
    ]);
  });

  it('takes a tombstone of a key that it never saw, and the same one twice', async () => {
    const writer = await log().openWriter(first());
    const tombstone = { kind: 'tombstone', eventId: eventIdNamed('unseen') } as const;
    await writer.append(1n, [tombstone, tombstone]);
    assert.equal((await log().openWriter(first())).lastSequence, 0n);
  });
}
