import type { LogEntry, TopicPartition } from './port.ts';
import { sizeOf } from './kafka-entry.ts';

/** What was fetched of one partition and not handed out yet, and where the next fetch goes on. */
export class PartitionBuffer {
  readonly partition: TopicPartition;
  /** Not revoked. */
  isAssigned = false;
  /** The consumer has said where to start. */
  isStarted = false;
  /** By the consumer; outlives a revocation, as the worker that asked for it does. */
  isPaused = false;
  /** The client fetches nothing of it. */
  isHeld = false;
  /** Was told to go elsewhere, and nothing came since. */
  isSeeking = false;
  #entries: LogEntry[] = [];
  #sizeBytes = 0;
  #fetched = 0n;

  constructor(partition: TopicPartition) {
    this.partition = partition;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** One past the last offset that was fetched, markers of transactions included. */
  get fetched(): bigint {
    return this.#fetched;
  }

  /** What the port calls `position`. */
  get position(): bigint {
    return this.#entries[0]?.offset ?? this.#fetched;
  }

  get hasEntries(): boolean {
    return this.#entries.length > 0;
  }

  assign(): void {
    this.isAssigned = true;
    this.isStarted = false;
    this.#empty();
  }

  revoke(): void {
    this.isAssigned = false;
    this.isStarted = false;
    // Whatever is handed out after a later assignment begins at the checkpoint of then.
    this.#fetched = this.position;
    this.#empty();
  }

  startFrom(offset: bigint): void {
    this.isStarted = true;
    this.#fetched = offset;
    this.#empty();
  }

  add(entries: readonly LogEntry[], fetched: bigint): void {
    this.isSeeking = false;
    for (const entry of entries) {
      this.#entries.push(entry);
      this.#sizeBytes += sizeOf(entry);
    }
    this.#fetched = fetched;
  }

  take(entriesMax: number, bytesMax: number): LogEntry[] {
    let count = 0;
    let bytes = 0;
    while (count < entriesMax && bytes < bytesMax) {
      const entry = this.#entries[count];
      if (entry === undefined) break;
      bytes += sizeOf(entry);
      count += 1;
    }
    this.#sizeBytes -= bytes;
    return this.#entries.splice(0, count);
  }

  #empty(): void {
    this.#entries = [];
    this.#sizeBytes = 0;
  }
}

/** In maps and messages. */
export function nameOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}
