import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { recordNamed } from '@lethe/platform/event-log/contract-support.ts';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { EventLog, PartitionWriter, TopicPartition } from '@lethe/platform/event-log/port.ts';

/** Appends to one partition whatever happens, as a relay does: after an error it opens a new writer and looks at the log. */
export class SteadyWriter {
  /** The last sequence that is known to be on the log. */
  last = 0n;
  /** How often a new writer had to be opened. */
  reopened = 0;
  /** The longest that a batch took, its new writers included. */
  longestMs = 0;
  /** What appends and openings failed with, each once. */
  readonly failures = new Set<string>();
  readonly #log: EventLog;
  readonly #partition: TopicPartition;
  #writer: PartitionWriter | undefined;

  constructor(log: EventLog, partition: TopicPartition) {
    this.#log = log;
    this.#partition = partition;
  }

  /** Records named after their sequences; stored when it resolves. */
  async append(count: number): Promise<void> {
    const startedMs = performance.now();
    const end = this.last + BigInt(count);
    this.#writer ??= await this.#open();
    while (this.last < end) {
      const from = this.last + 1n;
      const batch = Array.from({ length: count }, (_, at) => recordNamed(`n${from + BigInt(at)}`));
      try {
        await this.#writer.append(from, batch);
        this.last = end;
      } catch (error) {
        assert.ok(error instanceof ServiceError, String(error));
        this.failures.add(`${error.reason}: ${error.message}`);
        await this.#writer.close();
        this.#writer = await this.#open();
        this.reopened += 1;
        // Whether the batch whose answer was lost is there, the log says.
        const { lastSequence } = this.#writer;
        assert.ok(
          lastSequence === this.last || lastSequence === end,
          `the log ends with ${lastSequence}, and ${this.last} or ${end} was expected`,
        );
        this.last = lastSequence;
      }
    }
    this.longestMs = Math.max(this.longestMs, performance.now() - startedMs);
  }

  async #open(): Promise<PartitionWriter> {
    for (;;) {
      try {
        return await this.#log.openWriter(this.#partition);
      } catch (error) {
        const isAway = error instanceof ServiceError && error.reason === 'STORE_UNAVAILABLE';
        assert.ok(isAway, String(error));
        this.failures.add(`${error.reason}: ${error.message}`);
        await delay(100);
      }
    }
  }
}
