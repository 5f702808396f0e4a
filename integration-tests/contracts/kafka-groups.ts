import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { recordNamed } from '@lethe/platform/event-log/contract-support.ts';
import type { EventLog, LogReader, TopicPartition } from '@lethe/platform/event-log/port.ts';
import { until } from '@lethe/platform/testing/until.ts';
import type { LocalBroker } from '../../deploy/local/kafka.ts';
import { freshTopic, openLog } from './kafka-subject.ts';

const partitions = 4;
const perPartition = 50;

/** A member that keeps checkpoints in a store it shares with the others, as services do. */
class Member {
  readonly assigned: number[] = [];
  readonly seen: string[] = [];
  #reader: LogReader | undefined;
  #reading: Promise<void> | undefined;
  readonly #stopping = new AbortController();
  readonly #checkpoints: bigint[];

  constructor(checkpoints: bigint[]) {
    this.#checkpoints = checkpoints;
  }

  async start(log: EventLog, group: string, topic: string): Promise<void> {
    const reader = await log.openReader({
      group,
      topics: [topic],
      startAt: async (assigned) => {
        this.assigned.push(...assigned.map(({ partition }) => partition));
        return assigned.map(({ partition }) => this.#checkpoints[partition] ?? 0n);
      },
    });
    this.#reader = reader;
    this.#reading = this.#read(reader);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#reading;
    await this.#reader?.close();
  }

  async #read(reader: LogReader): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      const options = { recordsMax: 7, waitMs: 1_000, signal: this.#stopping.signal };
      for (const { partition, entries } of await reader.poll(options)) {
        const from = this.#checkpoints[partition] ?? 0n;
        for (const entry of entries) {
          // The compare-and-set of a checkpoint: what another member applied is not applied again.
          if (entry.offset < from || entry.kind !== 'record') continue;
          this.seen.push(`${partition}/${entry.sequence}`);
          this.#checkpoints[partition] = entry.offset + 1n;
        }
      }
    }
  }
}

export function groupTests(broker: () => LocalBroker): void {
  let log: EventLog;
  let other: EventLog;
  let topic: string;
  const group = () => `group-${randomBytes(6).toString('hex')}`;
  beforeEach(async () => {
    const fresh = freshTopic('groups', partitions);
    topic = fresh.name;
    log = await openLog(broker().address, [fresh]);
    other = await openLog(broker().address, [fresh]);
  });
  afterEach(async () => {
    await log.close();
    await other.close();
  });
  const appendEverywhere = async (): Promise<void> => {
    for (let partition = 0; partition < partitions; partition += 1) {
      const writer = await log.openWriter({ topic, partition });
      const names = Array.from({ length: perPartition }, (_, index) => recordNamed(`r${index}`));
      await writer.append(writer.lastSequence + 1n, names);
      await writer.close();
    }
  };

  it('members share the partitions, and each record is applied once while they come and go', async () => {
    const checkpoints = Array.from({ length: partitions }, () => 0n);
    const [first, second] = [new Member(checkpoints), new Member(checkpoints)];
    const name = group();
    const seen = () => [...first.seen, ...second.seen];
    await first.start(log, name, topic);
    await appendEverywhere();
    await until(() => seen().length === partitions * perPartition);
    const startedMs = performance.now();
    await second.start(other, name, topic);
    await until(() => second.assigned.length === 2);
    const shareMs = performance.now() - startedMs;
    await appendEverywhere();
    await until(() => seen().length === 2 * partitions * perPartition);
    assert.equal(second.seen.length, 2 * perPartition, 'two partitions of four');
    const leftMs = performance.now();
    await second.stop();
    // The first is asked again for the two that it lost.
    await until(() => first.assigned.length === partitions + 2);
    console.log(
      `      shared after ${shareMs.toFixed(0)} ms, taken back ${(performance.now() - leftMs).toFixed(0)} ms after the leave`,
    );
    await appendEverywhere();
    await until(() => seen().length === 3 * partitions * perPartition);
    assert.equal(new Set(seen()).size, seen().length, 'none twice');
    await first.stop();
  });

  it('a member keeps its partitions while a batch takes longer than the session', async () => {
    const name = group();
    const assigned: TopicPartition[] = [];
    const slow = await openLog(broker().address, [freshTopicNamed(topic)], { sessionMs: 6_000 });
    const reader = await slow.openReader({
      group: name,
      topics: [topic],
      startAt: async (mine) => {
        assigned.push(...mine);
        return mine.map(() => 0n);
      },
    });
    await appendEverywhere();
    const [batch] = await reader.poll({ recordsMax: 5, waitMs: 10_000 });
    assert.ok(batch !== undefined);
    await delay(9_000);
    let rest = batch.entries.length;
    while (rest < partitions * perPartition) {
      const batches = await reader.poll({ recordsMax: 500, waitMs: 10_000 });
      assert.ok(batches.length > 0, `${rest} were handed out`);
      rest += batches.reduce((sum, each) => sum + each.entries.length, 0);
    }
    assert.equal(assigned.length, partitions, 'assigned once');
    await slow.close();
  });

  const freshTopicNamed = (name: string) =>
    ({ name, partitions, cleanupPolicy: 'compact', retentionMs: -1 }) as const;
}
