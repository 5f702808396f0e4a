import { migrateToLatest } from '@lethe/platform/database/migrate.ts';
import { repairTopic } from '@lethe/platform/repair/mend-topic.ts';
import type { RepairFinding, RepairPorts, RepairWish } from '@lethe/platform/repair/port.ts';
import { repairGroupOf } from '@lethe/platform/repair/repair-owner.ts';
import { applyPrivacyRecords } from './apply-records.ts';
import { migrations } from './migrations/migrations.ts';
import { privacyTopic } from './privacy-events.ts';
import type { PrivacySchema } from './schema.ts';

/** Brings tenants, requests and receipts of privacy.v1 that a restored database lacks into it; before all others. */
export async function repairPrivacy(
  { database, eventLog, randomBytes }: RepairPorts,
  wish: RepairWish,
): Promise<readonly RepairFinding[]> {
  const db = database<PrivacySchema>();
  return await repairTopic(
    {
      db,
      eventLog,
      topic: privacyTopic,
      group: repairGroupOf(privacyTopic, randomBytes),
      isCompacted: false,
      migrate: async () => await migrateToLatest(db, migrations),
      apply: async (page) => {
        // Offsets matter to nobody here: nothing goes on from one.
        const records = page.map(({ sequence, record }) => ({ sequence, record, offset: 0n }));
        await applyPrivacyRecords(db, records);
        return [];
      },
    },
    wish,
  );
}
