import assert from 'node:assert/strict';
import { type ContractContext, described, readToEnd, recordNamed } from './contract-support.ts';
import type { TopicPartition } from './port.ts';

export function readingContract({ subject, log, first, readerFromStart }: ContractContext): void {
  const names = Array.from({ length: 30 }, (_, index) => `r${index + 1}`);
  const numbered = names.map((name, index) => `${index + 1} ${name}`);
  beforeEach(async () => {
    for (const partition of [0, 1, 2]) {
      const writer = await log().openWriter({ topic: first().topic, partition });
      for (let from = 0; from < names.length; from += 7) {
        await writer.append(BigInt(from + 1), names.slice(from, from + 7).map(recordNamed));
      }
      // A commit may be answered before readers see it: the next writer of the partition does not open before.
      await writer.close();
      assert.equal((await log().openWriter({ topic: first().topic, partition })).lastSequence, 30n);
    }
  });

  it('hands out every entry once, in order, however small the polls', async () => {
    for (const recordsMax of [1, 7, 1_000]) {
      const reader = await readerFromStart(subject().topics, `small-${recordsMax}`);
      const entries = await readToEnd(log(), reader, subject().topics, recordsMax);
      for (const partition of [0, 1, 2]) {
        assert.deepEqual(described(entries.get(`${first().topic}/${partition}`)), numbered);
      }
      assert.deepEqual(await reader.poll({ recordsMax: 10, waitMs: 1 }), []);
      await reader.close();
    }
  });

  it('never hands out more than asked for', async () => {
    const reader = await readerFromStart();
    const batches = await reader.poll({ recordsMax: 5, waitMs: 1_000 });
    const count = batches.reduce((sum, batch) => sum + batch.entries.length, 0);
    assert.ok(count > 0 && count <= 5);
  });

  it('starts where the consumer says, asked once for every partition it has', async () => {
    const all = await readToEnd(log(), await readerFromStart(), [first().topic]);
    const tenth = all.get(`${first().topic}/0`)?.[9]?.offset ?? -1n;
    const asked: TopicPartition[] = [];
    const reader = await log().openReader({
      group: 'started',
      topics: subject().topics,
      startAt: async (assigned) => {
        asked.push(...assigned);
        return assigned.map(({ topic, partition }) =>
          topic === first().topic && partition === 0 ? tenth + 1n : 0n,
        );
      },
    });
    const entries = await readToEnd(log(), reader, subject().topics);
    assert.deepEqual(described(entries.get(`${first().topic}/0`)), numbered.slice(10));
    assert.deepEqual(described(entries.get(`${first().topic}/1`)), numbered);
    const expected = subject().topics.flatMap((topic) =>
      Array.from({ length: log().partitionsOf(topic) }, (_, partition) => `${topic}/${partition}`),
    );
    const askedNames = asked.map(({ topic, partition }) => `${topic}/${partition}`);
    assert.deepEqual(askedNames.toSorted(), expected.toSorted());
  });

  it('goes back when told to seek', async () => {
    const reader = await readerFromStart();
    const entries = await readToEnd(log(), reader, [first().topic]);
    const fifth = entries.get(`${first().topic}/1`)?.[4]?.offset ?? -1n;
    reader.seek({ topic: first().topic, partition: 1 }, fifth);
    const again = await readToEnd(log(), reader, [first().topic]);
    assert.deepEqual([...again.keys()], [`${first().topic}/1`]);
    assert.deepEqual(described(again.get(`${first().topic}/1`)), numbered.slice(4));
  });

  it('hands out nothing of a paused partition until it is resumed', async () => {
    const reader = await readerFromStart();
    const paused = { topic: first().topic, partition: 2 };
    reader.pause(paused);
    const found: string[] = [];
    const poll = async (waitMs: number): Promise<void> => {
      for (const { topic, partition, entries } of await reader.poll({ recordsMax: 20, waitMs })) {
        found.push(...entries.map(() => `${topic}/${partition}`));
      }
    };
    // The two others to their ends, however slow the log is, and a few polls more.
    while (found.length < 2 * names.length) await poll(1_000);
    for (let more = 0; more < 5; more += 1) await poll(1);
    assert.deepEqual(new Set(found), new Set([`${first().topic}/0`, `${first().topic}/1`]));
    reader.resume(paused);
    const rest = await readToEnd(log(), reader, [first().topic]);
    assert.deepEqual(described(rest.get(`${first().topic}/2`)), numbered);
  });

  it('wakes a waiting poll when something is appended, also by another process', async () => {
    for (const appender of [log(), await subject().openAgain()]) {
      const reader = await readerFromStart([subject().topics[1]], `waiting-${Math.random()}`);
      await readToEnd(log(), reader, [subject().topics[1]]);
      // Far beyond the test's own timeout: only the append can end this poll.
      const waiting = reader.poll({ recordsMax: 10, waitMs: 600_000 });
      const writer = await appender.openWriter({ topic: subject().topics[1], partition: 0 });
      await writer.append(writer.lastSequence + 1n, [recordNamed('awaited')]);
      const [batch] = await waiting;
      assert.match(described(batch?.entries)[0] ?? '', /awaited/);
      await reader.close();
    }
  });

  it('ends a waiting poll when its signal fires and when the reader closes', async () => {
    const reader = await readerFromStart([subject().topics[1]]);
    const aborting = new AbortController();
    const aborted = reader.poll({ recordsMax: 1, waitMs: 600_000, signal: aborting.signal });
    aborting.abort();
    assert.deepEqual(await aborted, []);
    const closed = reader.poll({ recordsMax: 1, waitMs: 600_000 });
    await reader.close();
    assert.deepEqual(await closed, []);
  });

  it('reaches the end offsets, which begin at zero', async () => {
    const reader = await readerFromStart();
    await readToEnd(log(), reader, subject().topics);
    for (const topic of subject().topics) {
      const ends = await log().endOffsets(topic);
      assert.equal(ends.length, log().partitionsOf(topic));
      assert.deepEqual(
        ends.map((_, partition) => reader.position({ topic, partition })),
        ends,
      );
    }
    assert.ok((await log().endOffsets(subject().topics[1])).every((end) => end === 0n));
  });
}
