import { type Kysely, sql } from 'kysely';

/** The table that a service's schema type must have to run a consumer: `type KeysSchema = {…} & ConsumerSchema`. */
export interface ConsumerSchema {
  checkpoints: {
    topic: string;
    partition: number;
    sequence: bigint;
    next_offset: bigint;
  };
}

/**
 * Creates `checkpoints`; called once from the service's own migration. One row per partition that this service has
 * consumed anything of: the sequence of the last record applied (0 before the first) and the offset to read on from.
 * No row means that nothing was consumed.
 */
export async function createConsumerTables<Schema>(db: Kysely<Schema>): Promise<void> {
  await sql`create table checkpoints (
    topic text not null,
    partition int4 not null,
    sequence int8 not null check (sequence >= 0),
    next_offset int8 not null check (next_offset >= 0),
    primary key (topic, partition))`.execute(db);
}
