import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import kafkajs from 'kafkajs';
import { isConflict, recordNamed } from '@lethe/platform/event-log/contract-support.ts';
import { transactionalIdOf } from '@lethe/platform/event-log/kafka-writer.ts';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { EventLog } from '@lethe/platform/event-log/port.ts';
import { until } from '@lethe/platform/testing/until.ts';
import type { LocalBroker } from '../../deploy/local/kafka.ts';
import { bareClient, freshTopic, linesOn, openLog } from './kafka-subject.ts';

export function writerTests(broker: () => LocalBroker): void {
  let log: EventLog;
  let partition: { topic: string; partition: number };
  beforeEach(async () => {
    const fresh = freshTopic('writers', 1);
    partition = { topic: fresh.name, partition: 0 };
    log = await openLog(broker().address, [fresh]);
  });
  afterEach(async () => {
    await log.close();
  });
  const numbered = (count: number, from = 1) =>
    Array.from({ length: count }, (_, index) => `${from + index}`);

  it('a stopped process that goes on after it was replaced changes nothing', async () => {
    const script = fileURLToPath(new URL('zombie-writer.ts', import.meta.url));
    const child = spawn(process.execPath, [script, broker().address, partition.topic], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      const said: string[] = [];
      createInterface({ input: child.stdout }).on('line', (line) => said.push(line));
      await until(() => said.length >= 20);
      child.kill('SIGSTOP');
      const writer = await log.openWriter(partition);
      const last = writer.lastSequence;
      assert.ok(last >= BigInt(said.at(-1) ?? 0), 'whatever was acknowledged is on the log');
      await writer.append(last + 1n, [recordNamed('ours')]);
      const ended = once(child, 'exit');
      child.kill('SIGCONT');
      await ended;
      assert.equal(said.at(-1), 'SEQUENCE_CONFLICT');
      await writer.append(last + 2n, [recordNamed('ours too')]);
      const zombies = numbered(Number(last)).map((sequence) => `${sequence} zombie ${sequence}`);
      const expected = [...zombies, `${last + 1n} ours`, `${last + 2n} ours too`];
      assert.deepEqual(await linesOn(log, partition.topic), expected);
    } finally {
      child.kill('SIGKILL');
    }
  });

  it('a producer that was replaced between its send and its commit leaves nothing', async () => {
    const zombie = bareClient(broker().address).producer({
      transactionalId: transactionalIdOf(partition),
      createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
      retry: { initialRetryTime: 10, retries: 8 },
    });
    await zombie.connect();
    const transaction = await zombie.transaction();
    const message = {
      partition: 0,
      key: Buffer.alloc(16, 1),
      value: 'x',
      headers: { sequence: '1' },
    };
    await transaction.send({ topic: partition.topic, messages: [message] });
    assert.deepEqual(await log.endOffsets(partition.topic), [0n], 'nobody may see it yet');
    const writer = await log.openWriter(partition);
    assert.equal(writer.lastSequence, 0n);
    await writer.append(1n, [recordNamed('ours')]);
    await assert.rejects(transaction.send({ topic: partition.topic, messages: [message] }));
    await assert.rejects(transaction.commit());
    await zombie.disconnect();
    assert.deepEqual(await linesOn(log, partition.topic), ['1 ours']);
  });

  it('a takeover in the middle of an append finds all of it or nothing', async () => {
    let all = 0;
    for (let round = 0; round < 20; round += 1) {
      const old = await log.openWriter(partition);
      const from = old.lastSequence;
      const batch = Array.from({ length: 50 }, (_, index) => recordNamed(`r${from}-${index}`));
      const appending = old.append(from + 1n, batch).then(
        () => 'stored',
        (error: unknown) => (isConflict(error) ? 'conflict' : String(error)),
      );
      await delay(round);
      const fresh = await log.openWriter(partition);
      const outcome = await appending;
      const stored = fresh.lastSequence - from;
      assert.ok(stored === 0n || stored === 50n, `${stored} of 50`);
      if (stored === 50n) all += 1;
      if (outcome === 'stored') assert.equal(stored, 50n);
      await Promise.all([old.close(), fresh.close()]);
    }
    console.log(`      ${all} of 20 interrupted batches were stored, the others not at all`);
    const lines = await linesOn(log, partition.topic);
    assert.deepEqual(
      lines.map((line) => line.split(' ')[0]),
      numbered(all * 50),
    );
  });

  it('loses and repeats nothing while the broker is killed', async () => {
    const perBatch = 20;
    const total = 3_000;
    const kills = 3;
    const batch = (from: bigint) =>
      Array.from({ length: perBatch }, (_, index) => recordNamed(`n${from + BigInt(index)}`));
    let last = 0n;
    let reopened = 0;
    const appendAll = async (): Promise<void> => {
      let writer = await log.openWriter(partition);
      while (last < total) {
        try {
          await writer.append(last + 1n, batch(last + 1n));
          last += BigInt(perBatch);
        } catch (error) {
          assert.ok(error instanceof ServiceError, String(error));
          await writer.close();
          writer = await reopen();
          reopened += 1;
          // Whether the batch whose answer was lost is there, the log says.
          assert.ok(
            writer.lastSequence === last || writer.lastSequence === last + BigInt(perBatch),
          );
          last = writer.lastSequence;
        }
      }
    };
    const reopen = async (): ReturnType<EventLog['openWriter']> => {
      for (;;) {
        try {
          return await log.openWriter(partition);
        } catch (error) {
          assert.ok(error instanceof ServiceError && error.code === 'UNAVAILABLE', String(error));
          await delay(100);
        }
      }
    };
    const appending = appendAll();
    for (let kill = 1; kill <= kills; kill += 1) {
      const next = (total / (kills + 1)) * kill;
      await until(() => last >= next, 60_000);
      await broker().kill();
      await broker().startAgain();
    }
    await appending;
    const lines = await linesOn(log, partition.topic);
    assert.deepEqual(
      lines,
      numbered(total).map((sequence) => `${sequence} n${sequence}`),
    );
    console.log(`      ${total} records, ${kills} kills, ${reopened} writers opened anew`);
  }).timeout(240_000);

  it('says so when the broker is away, and goes on when it is back', async () => {
    const writer = await log.openWriter(partition);
    await writer.append(1n, [recordNamed('before')]);
    const reader = await log.openReader({
      group: `away-${partition.topic}`,
      topics: [partition.topic],
      startAt: async (assigned) => assigned.map(() => 0n),
    });
    await broker().kill();
    try {
      await assert.rejects(writer.append(2n, [recordNamed('away')]), { code: 'UNAVAILABLE' });
      await assert.rejects(log.openWriter(partition), { reason: 'STORE_UNAVAILABLE' });
      await assert.rejects(log.endOffsets(partition.topic), { reason: 'STORE_UNAVAILABLE' });
      await assert.rejects(
        async () => {
          for (;;) await reader.poll({ recordsMax: 10, waitMs: 60_000 });
        },
        { reason: 'STORE_UNAVAILABLE' },
      );
    } finally {
      await broker().startAgain();
    }
    await reader.close();
    await writer.close();
    const again = await log.openWriter(partition);
    assert.equal(again.lastSequence, 1n);
    await again.append(2n, [recordNamed('after')]);
    assert.deepEqual(await linesOn(log, partition.topic), ['1 before', '2 after']);
  });
}
