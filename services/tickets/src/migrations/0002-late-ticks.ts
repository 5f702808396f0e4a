import { createLateTickTable } from '@lethe/platform/outbox/late-ticks.ts';
import type { Migration } from 'kysely/migration';

/** The ticks by which erased records leave the files of an idle partition. */
export const lateTicks: Migration = { up: createLateTickTable };
