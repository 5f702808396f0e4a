import { createParkingTables } from '@lethe/platform/parking/tables.ts';
import type { Migration } from 'kysely/migration';

/** What is parked of tickets.v1. */
export const parking: Migration = { up: createParkingTables };
