import { join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';

/** Opens the database of a data folder on which no server works. Takes seconds. */
export async function openTables(dataFolder: string): Promise<PGlite> {
  return await PGlite.create(join(dataFolder, 'pg'), { parsers: { 20: BigInt } });
}

/** The owners of topics that are numbered by a relay, and so their schemas. */
export const owners = ['tickets', 'predictions', 'usage', 'privacy'] as const;

/** What the owners' tables say of a partition. */
export interface OwnedPartition {
  readonly topic: string;
  readonly partition: number;
  readonly lastSequence: bigint;
  readonly erased: readonly { readonly first: bigint; readonly last: bigint }[];
}

export async function ownedPartitions(tables: PGlite): Promise<readonly OwnedPartition[]> {
  const found: OwnedPartition[] = [];
  for (const owner of owners) {
    const counters = await tables.query<{ topic: string; partition: number; last: bigint }>(
      `select topic, partition, last_sequence as last from ${owner}.partition_counters`,
    );
    const ranges = await tables.query<{
      topic: string;
      partition: number;
      first: bigint;
      last: bigint;
    }>(
      `select topic, partition, first_sequence as first, last_sequence as last from ${owner}.erased_ranges`,
    );
    for (const { topic, partition, last } of counters.rows) {
      const erased = ranges.rows.filter(
        (range) => range.topic === topic && range.partition === partition,
      );
      found.push({ topic, partition, lastSequence: last, erased });
    }
  }
  return found;
}

/** A number that a query answers. */
export async function countIn(tables: PGlite, query: string): Promise<number> {
  const { rows } = await tables.query<{ count: bigint }>(query);
  return Number(rows[0]?.count ?? -1n);
}
