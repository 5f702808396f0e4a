import { migrations as analytics } from '@lethe/analytics/migrations/migrations.ts';
import { migrations as keys } from '@lethe/keys/migrations/migrations.ts';
import type { Databases } from '@lethe/platform/database/databases.ts';
import { assertNotNewer } from '@lethe/platform/database/migrate.ts';
import { migrations as predictions } from '@lethe/predictions/migrations/migrations.ts';
import { migrations as privacy } from '@lethe/privacy/migrations/migrations.ts';
import { migrations as tickets } from '@lethe/tickets/migrations/migrations.ts';
import { migrations as usage } from '@lethe/usage/migrations/migrations.ts';

const migrations = { analytics, keys, predictions, privacy, tickets, usage };

/** Tables of a newer version must not be mended by an older one. Throws SCHEMA_NEWER. */
export async function assertKnownSchemas(databases: Databases): Promise<void> {
  for (const [service, known] of Object.entries(migrations)) {
    await assertNotNewer(databases.database(service), known);
  }
}
