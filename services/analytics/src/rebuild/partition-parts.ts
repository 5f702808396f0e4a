import { firstUnlisted, type SequenceSpan } from '@lethe/platform/consumer/classify.ts';
import { askErased, SequenceGapError } from '@lethe/platform/consumer/missing.ts';
import type { TopicPartition } from '@lethe/platform/event-log/port.ts';
import type { Peers } from '@lethe/platform/grpc/handler.ts';
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

export interface PartitionPartsPorts {
  readonly db: AnalyticsDatabase;
  /** For the owner of the topic, asked about every sequence that is not on the log. */
  readonly peers: Peers;
}

const partsPerPage = 200;

/**
 * Cuts the records of one partition into the parts of the chunks that folded them. Throws SequenceGapError for a
 * sequence that is neither on the log nor listed as erased by its owner: a log that lost records proves nothing.
 */
export class PartitionParts {
  readonly at: TopicPartition;
  readonly #db: AnalyticsDatabase;
  readonly #peers: Peers;
  readonly #upTo: bigint;
  #parts: readonly ChunkPart[] = [];
  #skipped: ReadonlySet<string> = new Set();
  #place = 0;
  #lastFirst = 0n;
  #isExhausted = false;
  #seen = 0n;
  #records: LogRecord[] = [];
  /** Of `records`. */
  #sequences: bigint[] = [];
  #buffered = 0;

  /** Only what was committed `upTo` this sequence belongs to a chunk that is rebuilt. */
  constructor({ db, peers }: PartitionPartsPorts, at: TopicPartition, upTo: bigint) {
    this.#db = db;
    this.#peers = peers;
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
        this.#sequences.push(sequence);
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
      const erased = await this.#erasedIn(part);
      done.push({ part, records: this.#records, erased });
      this.#records = [];
      this.#sequences = [];
      this.#place += 1;
    }
  }

  /** How many of the part's sequences erasure removed. */
  async #erasedIn({ topic, partition, firstSequence, lastSequence }: ChunkPart): Promise<number> {
    const known = [...this.#sequences];
    for (const name of this.#skipped) {
      const [ofTopic, ofPartition, sequence = '0'] = name.split('/');
      const isHere = ofTopic === topic && Number(ofPartition) === partition;
      const at = BigInt(sequence);
      if (isHere && at >= firstSequence && at <= lastSequence) known.push(at);
    }
    const missing = Number(lastSequence - firstSequence + 1n) - known.length;
    if (missing === 0) return 0;
    const span = { from: firstSequence, to: lastSequence };
    const listed = await askErased(this.#peers, this.at, span);
    const gap = firstUnlisted(span, inOrder([...listed, ...known.map(alone)]));
    if (gap !== undefined) throw new SequenceGapError(this.at, gap);
    return missing;
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

function alone(sequence: bigint): SequenceSpan {
  return { from: sequence, to: sequence };
}

function inOrder(spans: readonly SequenceSpan[]): readonly SequenceSpan[] {
  return spans.toSorted((left, right) => (left.from < right.from ? -1 : 1));
}
