import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import kafkajs from 'kafkajs';
import { eventIdNamed } from '@lethe/platform/event-log/contract-support.ts';
import type { EventLog, LogWrite } from '@lethe/platform/event-log/port.ts';
import { transactionalIdOf } from '@lethe/platform/event-log/kafka-writer.ts';
import type { LocalBroker } from '../../deploy/local/kafka.ts';
import { bareClient, filesOf, freshTopic, linesOn, openLog } from './kafka-subject.ts';

export function compactionTests(broker: () => LocalBroker): void {
  let log: EventLog;
  let topic: string;
  beforeEach(async () => {
    const fresh = freshTopic('compaction', 1);
    topic = fresh.name;
    log = await openLog(broker().address, [fresh]);
  });
  afterEach(async () => {
    await log.close();
  });
  const recordOf = (canary: string): LogWrite => ({
    kind: 'record',
    eventId: eventIdNamed(canary),
    // Named twice, far apart: a rest of the record is found as well.
    value: Buffer.from(`${canary}${'.'.repeat(2_000)}${canary}`),
    recordedAtMs: Date.now(),
  });
  const isThere = (canary: string): boolean =>
    [...filesOf(broker().folder, topic).values()].some((bytes) => bytes.includes(canary));

  it('removes the bytes of tombstoned records after ticks, .deleted and .swap files included', async () => {
    const canaries = Array.from({ length: 40 }, () => `canary-${randomBytes(12).toString('hex')}`);
    const [erased, kept] = [canaries.slice(0, 20), canaries.slice(20)];
    const partition = { topic, partition: 0 };
    const writer = await log.openWriter(partition);
    await writer.append(1n, canaries.map(recordOf));
    assert.ok(canaries.every(isThere), 'the search finds what is there');
    const tombstones = erased.map((canary): LogWrite => ({
      kind: 'tombstone',
      eventId: eventIdNamed(canary),
    }));
    const startedMs = performance.now();
    await writer.append(41n, [...tombstones, { kind: 'tick', lastSequence: 40n }]);
    // An idle partition never rolls its segment: without ticks nothing is compacted.
    await delay(3_000);
    assert.ok(erased.every(isThere), 'the newest segment is left alone');
    let ticks = 1;
    while (erased.some(isThere)) {
      await writer.append(41n, [{ kind: 'tick', lastSequence: 40n }]);
      ticks += 1;
      await delay(200);
    }
    console.log(
      `      gone ${((performance.now() - startedMs) / 1_000).toFixed(1)} s after the tombstones, ${ticks} ticks`,
    );
    assert.ok(kept.every(isThere));
    const lines = await linesOn(log, topic);
    assert.equal(lines.filter((line) => line.startsWith('tombstone')).length, 20);
    assert.equal(lines.filter((line) => line.includes('canary')).length, 20);
  });

  it('knows the last sequence although compaction left no record', async () => {
    const canary = `canary-${randomBytes(12).toString('hex')}`;
    const partition = { topic, partition: 0 };
    const writer = await log.openWriter(partition);
    await writer.append(1n, [recordOf(canary), recordOf(canary), recordOf(canary)]);
    await writer.append(4n, [
      { kind: 'tombstone', eventId: eventIdNamed(canary) },
      { kind: 'tick', lastSequence: 3n },
    ]);
    while (isThere(canary)) {
      await writer.append(4n, [{ kind: 'tick', lastSequence: 3n }]);
      await delay(200);
    }
    const fresh = await log.openWriter(partition);
    assert.equal(fresh.lastSequence, 3n);
    await fresh.append(4n, [recordOf('next')]);
    assert.ok((await linesOn(log, topic)).some((line) => line.startsWith('4 next')));
  });

  it('reads on where compaction emptied the last batch of a segment', async () => {
    const partition = { topic, partition: 0 };
    // What a relay leaves that dies between its send and its commit.
    const dead = bareClient(broker().address).producer({
      transactionalId: transactionalIdOf(partition),
      createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
      retry: { initialRetryTime: 10, retries: 8 },
    });
    await dead.connect();
    const canary = `canary-${randomBytes(12).toString('hex')}`;
    const transaction = await dead.transaction();
    const headers = { sequence: '1' };
    const timestamp = String(Date.now() - 60_000);
    const message = { partition: 0, key: eventIdNamed(canary), value: canary, headers, timestamp };
    await transaction.send({ topic, messages: [message, message, message] });
    assert.ok(isThere(canary));
    const writer = await log.openWriter(partition);
    await dead.disconnect();
    while (isThere(canary)) await delay(100);
    assert.deepEqual(await linesOn(log, topic), []);
    await writer.append(1n, [recordOf('next')]);
    assert.equal((await log.openWriter(partition)).lastSequence, 1n);
    assert.equal((await linesOn(log, topic)).length, 1);
  });
}
