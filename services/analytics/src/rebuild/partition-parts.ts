import type { TopicPartition } from '@lethe/platform/event-log/port.ts';
import type { Record as LogRecord } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import type { AnalyticsDatabase } from '../store.ts';
import type { ChunkPart } from './chunks.ts';
import { nextParts, skippedIn } from './rebuild-store.ts';
import type { ReadPart } from './refold.ts';

interface Sequenced {
  /** Of a tick the last one given before it. */
  readonly sequence: bigint;
  readonly record: LogRecord | undefined;
}

const partsPerPage = 200;

/** Cuts the records of one partition into the parts of the chunks that folded them. */
export class PartitionParts {
  readonly at: TopicPartition;
  readonly #db: AnalyticsDatabase;
  readonly #upTo: bigint;
  #parts: readonly ChunkPart[] = [];
  #skipped: ReadonlySet<string> = new Set();
  #place = 0;
  #lastFirst = 0n;
  #isExhausted = false;
  #seen = 0n;
  #records: LogRecord[] = [];
  #buffered = 0;

  /** Only what was committed `upTo` this sequence belongs to a chunk that is rebuilt. */
  constructor(db: AnalyticsDatabase, at: TopicPartition, upTo: bigint) {
    this.#db = db;
    this.at = at;
    this.#upTo = upTo;
  }

  /** Takes entries by rising sequence; answers the parts that are complete with them. */
  async take(entries: readonly Sequenced[], isEnd: boolean): Promise<readonly ReadPart[]> {
    const done: ReadPart[] = [];
    for (const { sequence, record } of entries) {
      // What a rebalance hands out again.
      if (record !== undefined && sequence <= this.#seen) continue;
      await this.#endPartsBefore(record === undefined ? sequence + 1n : sequence, done);
      if (sequence > this.#seen) this.#seen = sequence;
      const part = await this.#current();
      if (record === undefined || part === undefined || sequence < part.firstSequence) continue;
      if (!this.#skipped.has(`${part.topic}/${part.partition}/${sequence}`)) {
        this.#records.push(record);
        this.#buffered += 1;
      }
      if (sequence === part.lastSequence) await this.#endPartsBefore(sequence + 1n, done);
    }
    if (isEnd) await this.#endPartsBefore(this.#upTo + 1n, done);
    return done;
  }

  /** The records of a chunk that was given out are not held any more. */
  release(records: number): void {
    this.#buffered -= records;
  }

  /** Whether so much is held of parts that were read to their end that others should come first. */
  mayWait(bufferedMax: number): boolean {
    return this.#buffered - this.#records.length >= bufferedMax;
  }

  async #endPartsBefore(sequence: bigint, done: ReadPart[]): Promise<void> {
    for (
      let part = await this.#current();
      part !== undefined && part.lastSequence < sequence;
      part = await this.#current()
    ) {
      done.push({ part, records: this.#records, erased: this.#erasedIn(part) });
      this.#records = [];
      this.#place += 1;
    }
  }

  #erasedIn({ topic, partition, firstSequence, lastSequence }: ChunkPart): number {
    let skipped = 0;
    for (const name of this.#skipped) {
      const [ofTopic, ofPartition, sequence = '0'] = name.split('/');
      const isHere = ofTopic === topic && Number(ofPartition) === partition;
      const at = BigInt(sequence);
      if (isHere && at >= firstSequence && at <= lastSequence) skipped += 1;
    }
    return Number(lastSequence - firstSequence + 1n) - skipped - this.#records.length;
  }

  async #current(): Promise<ChunkPart | undefined> {
    if (this.#place < this.#parts.length || this.#isExhausted) return this.#parts[this.#place];
    this.#parts = await nextParts(this.#db, this.at, this.#lastFirst, this.#upTo, partsPerPage);
    this.#skipped = this.#parts.length === 0 ? new Set() : await skippedIn(this.#db, this.#parts);
    this.#place = 0;
    this.#isExhausted = this.#parts.length === 0;
    this.#lastFirst = this.#parts.at(-1)?.firstSequence ?? this.#lastFirst;
    return this.#parts[0];
  }
}
