import assert from 'node:assert/strict';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { EventLog, LogEntry, LogReader } from '@lethe/platform/event-log/port.ts';

/** Reads a topic whatever happens, as a consumer does: after an error a new reader goes on at the checkpoints. */
export class SteadyReader {
  /** By partition. */
  readonly entries: LogEntry[][];
  /** How often a new reader had to be opened. */
  reopened = 0;
  /** What readers failed with, each once. */
  readonly failures = new Set<string>();
  readonly #log: EventLog;
  readonly #topic: string;
  readonly #group: string;
  readonly #stopping = new AbortController();
  readonly #checkpoints: bigint[];

  constructor(log: EventLog, topic: string, group: string) {
    this.#log = log;
    this.#topic = topic;
    this.#group = group;
    this.entries = Array.from({ length: log.partitionsOf(topic) }, () => []);
    this.#checkpoints = this.entries.map(() => 0n);
  }

  get count(): number {
    return this.entries.reduce((sum, each) => sum + each.length, 0);
  }

  /** Until `stop`. */
  async run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      let reader: LogReader | undefined;
      try {
        reader = await this.#log.openReader({
          group: this.#group,
          topics: [this.#topic],
          startAt: async (assigned) =>
            assigned.map(({ partition }) => this.#checkpoints[partition] ?? 0n),
        });
        await this.#readFrom(reader);
      } catch (error) {
        assert.ok(error instanceof ServiceError && error.code === 'UNAVAILABLE', String(error));
        this.failures.add(`${error.reason}: ${error.message}`);
        this.reopened += 1;
      } finally {
        await reader?.close();
      }
    }
  }

  stop(): void {
    this.#stopping.abort();
  }

  async #readFrom(reader: LogReader): Promise<void> {
    const options = { recordsMax: 100, waitMs: 500, signal: this.#stopping.signal };
    while (!this.#stopping.signal.aborted) {
      for (const { partition, entries } of await reader.poll(options)) {
        const [first, last] = [entries[0]?.offset ?? 0n, entries.at(-1)?.offset ?? 0n];
        const from = this.#checkpoints[partition] ?? 0n;
        assert.ok(first >= from, `partition ${partition}: ${first} again, after ${from - 1n}`);
        this.entries[partition]?.push(...entries);
        this.#checkpoints[partition] = last + 1n;
      }
    }
  }
}
