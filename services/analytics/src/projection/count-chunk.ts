import { setImmediate as nextTurn } from 'node:timers/promises';
import type { UnusableRecord } from '@lethe/platform/consumer/classify.ts';
import type { NewRecord } from '@lethe/platform/consumer/port.ts';
import { failureText } from '@lethe/platform/errors/failure.ts';
import type { KeyClient } from '@lethe/platform/key-client/port.ts';
import {
  createParkingPlan,
  nothingParked,
  type ParkingGuess,
  type ParkingPlan,
  type RecordEntry,
} from '@lethe/platform/parking/plan.ts';
import { envelopePoisonOf, poisonReasonOf } from '@lethe/platform/parking/poison.ts';
import { isTransient } from '@lethe/platform/retry/is-transient.ts';
import type { Record as LogRecord } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import type { CountedEvent } from '../domain/counted-event.ts';
import { countRecord, type FactsLeases, leaseFacts } from './open-records.ts';
import { partitionName } from './partition-name.ts';
import { cutBefore, type ReadPartition } from './read-chunk.ts';

/** A partition's part of a chunk, opened and counted. */
export interface CountedPartition extends ReadPartition {
  readonly events: readonly CountedEvent[];
  /** How many records were neither parked nor passed over. */
  readonly records: number;
  readonly plan: ParkingPlan;
}

/** What is parked of each partition, by its name, as far as is known. */
export type ParkingGuesses = ReadonlyMap<string, ParkingGuess>;

/** Records opened before other work of the process gets its turn: some milliseconds. */
const recordsPerTurn = 256;

/**
 * Leases facts keys for the whole chunk at once, then opens and counts record by record. A record that cannot be
 * counted honestly is to be parked, and what follows it of its stream. What is not the fault of a record ends its
 * partition's part before it and stops the partition; the other partitions go on. Throws what may succeed later (keys
 * away, a lease that ran out): nothing was committed, and the chunk is read again.
 */
export async function countChunk(
  keyClient: Pick<KeyClient, 'leaseForOpen'>,
  read: readonly ReadPartition[],
  guesses: ParkingGuesses,
): Promise<readonly CountedPartition[]> {
  const records = read.flatMap(({ fresh }) => fresh.map(({ record }) => record));
  const leases = await leaseFacts(keyClient, records);
  const counted: CountedPartition[] = [];
  for (const part of read) {
    const guess = guesses.get(partitionName(part.topic, part.partition)) ?? nothingParked;
    counted.push(await countPartition(part, leases, guess));
  }
  return counted;
}

async function countPartition(
  part: ReadPartition,
  leases: FactsLeases,
  guess: ParkingGuess,
): Promise<CountedPartition> {
  const events: CountedEvent[] = [];
  const plan = createParkingPlan(guess);
  const entryAt = entriesOf(part);
  const items = itemsOf(part);
  for (const [index, item] of items.entries()) {
    if (index % recordsPerTurn === recordsPerTurn - 1) await nextTurn();
    const sequence = 'entry' in item ? item.entry.sequence : item.sequence;
    if (!plan.mayTry(item.record, () => entryAt(sequence))) continue;
    try {
      const poison = 'reason' in item ? item.reason : poisonOf(item.record, leases, events);
      if (poison !== undefined) plan.park(item.record, entryAt(sequence), poison);
    } catch (error) {
      if (isTransient(error)) throw error;
      const problem = `sequence ${sequence} cannot be counted: ${failureText(error)}`;
      const cut = cutBefore(part, sequence, problem);
      return { ...cut, events, plan, records: index - plan.toPark.length - plan.passed.length };
    }
  }
  const records = items.length - plan.toPark.length - plan.passed.length;
  return { ...part, events, plan, records };
}

/** Counts the record, or says why it is poison; throws what is not its fault. */
function poisonOf(record: LogRecord, leases: FactsLeases, events: CountedEvent[]) {
  try {
    const poison = envelopePoisonOf(record);
    if (poison !== undefined) return poison;
    const event = countRecord(record, leases);
    if (event !== undefined) events.push(event);
    return undefined;
  } catch (error) {
    const poison = poisonReasonOf(error);
    if (poison === undefined) throw error;
    return poison;
  }
}

function itemsOf({ fresh, unusable }: ReadPartition): readonly (NewRecord | UnusableRecord)[] {
  if (unusable.length === 0) return fresh;
  const sequenceOf = (item: NewRecord | UnusableRecord): bigint =>
    'entry' in item ? item.entry.sequence : item.sequence;
  return [...fresh, ...unusable].toSorted((a, b) => (sequenceOf(a) < sequenceOf(b) ? -1 : 1));
}

/** The entry of a sequence; the map is made when the first is asked for, which nearly never happens. */
function entriesOf({ entries }: ReadPartition): (sequence: bigint) => RecordEntry {
  let bySequence: ReadonlyMap<bigint, RecordEntry> | undefined;
  return (sequence) => {
    bySequence ??= new Map(
      entries.flatMap((entry) =>
        entry.kind === 'record' ? [[entry.sequence, entry] as const] : [],
      ),
    );
    const entry = bySequence.get(sequence);
    if (entry === undefined) throw new RangeError(`no entry was read at ${sequence}`);
    return entry;
  };
}
