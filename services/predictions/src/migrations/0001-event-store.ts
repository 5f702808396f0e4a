import { createConsumerTables } from '@lethe/platform/consumer/tables.ts';
import { createEventStoreTables } from '@lethe/platform/event-store/tables.ts';
import { createOutboxTables } from '@lethe/platform/outbox/tables.ts';
import { createReceiptTables } from '@lethe/platform/receipts/receipts.ts';
import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

/** Streams, index, records, fences and jobs; outbox; checkpoints; receipts. */
export const eventStore: Migration = {
  up: async (db: Kysely<unknown>) => {
    await createEventStoreTables(db);
    await createOutboxTables(db);
    await createConsumerTables(db);
    await createReceiptTables(db);
  },
};
