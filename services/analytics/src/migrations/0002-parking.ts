import { type Kysely, sql } from 'kysely';
import type { Migration } from 'kysely/migration';
import { createFenceTable } from '@lethe/platform/event-store/fences.ts';
import { createParkingTables } from '@lethe/platform/parking/tables.ts';

/** What is parked, the fences that say what may not be, and which sequences a chunk passed over. */
export const parking: Migration = {
  up: async (db: Kysely<unknown>) => {
    await createParkingTables(db);
    await createFenceTable(db);
    // Sequences within a manifest's ranges whose record was parked instead of being folded there: what a rebuild must
    // leave out of that chunk. `folded_by` is the manifest of the replay that folded it, which has no ranges of its
    // own; null while it is parked, and for ever when an erasure dropped it.
    await sql`create table manifest_skips (
      topic text not null,
      partition int4 not null,
      sequence int8 not null,
      folded_by uuid references chunk_manifests,
      primary key (topic, partition, sequence))`.execute(db);
    await sql`create index manifest_skips_by_manifest on manifest_skips (folded_by)
      where folded_by is not null`.execute(db);
  },
};
