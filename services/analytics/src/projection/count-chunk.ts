import { setImmediate as nextTurn } from 'node:timers/promises';
import { failureText } from '@lethe/platform/errors/failure.ts';
import type { KeyClient } from '@lethe/platform/key-client/port.ts';
import { isTransient } from '@lethe/platform/retry/is-transient.ts';
import type { CountedEvent } from '../domain/counted-event.ts';
import { countRecord, type FactsLeases, leaseFacts } from './open-records.ts';
import type { ReadPartition } from './read-chunk.ts';

/** A partition's part of a chunk, opened and counted. */
export interface CountedPartition extends ReadPartition {
  readonly events: readonly CountedEvent[];
}

/** Records opened before other work of the process gets its turn: some milliseconds. */
const recordsPerTurn = 256;

/**
 * Leases facts keys for the whole chunk at once, then opens and counts record by record. A record that cannot be
 * counted honestly ends its partition's part before it and stops the partition; the other partitions go on. Throws what
 * may succeed later (keys away, a lease that ran out): nothing was committed, and the chunk is read again.
 */
export async function countChunk(
  keyClient: Pick<KeyClient, 'leaseForOpen'>,
  read: readonly ReadPartition[],
): Promise<readonly CountedPartition[]> {
  const records = read.flatMap(({ fresh }) => fresh.map(({ record }) => record));
  const leases = await leaseFacts(keyClient, records);
  const counted: CountedPartition[] = [];
  for (const part of read) counted.push(await countPartition(part, leases));
  return counted;
}

async function countPartition(part: ReadPartition, leases: FactsLeases): Promise<CountedPartition> {
  const events: CountedEvent[] = [];
  for (const [index, { record, sequence, offset }] of part.fresh.entries()) {
    if (index % recordsPerTurn === recordsPerTurn - 1) await nextTurn();
    try {
      const event = countRecord(record, leases);
      if (event !== undefined) events.push(event);
    } catch (error) {
      if (isTransient(error)) throw error;
      const fresh = part.fresh.slice(0, index);
      const to = { sequence: fresh.at(-1)?.sequence ?? part.from.sequence, nextOffset: offset };
      const problem = `sequence ${sequence} cannot be counted: ${failureText(error)}`;
      return { ...part, fresh, to, events, problem };
    }
  }
  return { ...part, events };
}
