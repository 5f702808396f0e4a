import { newUuid } from '@lethe/platform/ids/new-id.ts';
import type { Clock, RandomBytes } from '@lethe/platform/lifecycle/clock.ts';
import { enqueue } from '@lethe/platform/outbox/enqueue.ts';
import type { Kysely } from 'kysely';
import { eventsOf, outboxRowOf, privacyTopic } from './privacy-events.ts';
import type { PrivacySchema } from './schema.ts';
import { readErasure } from './store.ts';
import { tenantsAfter } from './tenant-store.ts';
import type { ErasureId } from '@lethe/platform/ids/ids.ts';
import type { Erasure, ErasureChange } from './domain/erasure.ts';

const pageRows = 500;

/**
 * Hands every tenant and every erasure to the relay once more, as new events: for a log that lost records of
 * privacy.v1, from which a service that is new or restored must learn of every fence. For whoever knows them already
 * each is a repetition that changes nothing. One transaction.
 */
export async function publishPrivacyAgain(
  db: Kysely<PrivacySchema>,
  clock: Clock,
  randomBytes: RandomBytes,
): Promise<void> {
  const tenants = await allTenants(db);
  const ids = await db
    .selectFrom('erasures')
    .select('erasure_id')
    .orderBy('requested_at_ms')
    .execute();
  const erasures: Erasure[] = [];
  for (const { erasure_id: id } of ids) {
    const erasure = await readErasure(db, id as ErasureId);
    if (erasure !== undefined) erasures.push(erasure);
  }
  await db.transaction().execute(async (tx) => {
    const recordedAtMs = clock.nowMs();
    const eventId = () => newUuid(clock, randomBytes);
    const tenantRows = tenants.map(({ tenantId, settings, registeredAtMs = 0 }) => {
      const value = { settings: { ...settings }, registeredAt: new Date(registeredAtMs) };
      const event = { $case: 'tenantRegistered', value } as const;
      const place = { tenantId, stream: 'tenant', position: 1 } as const;
      return outboxRowOf({ ...place, eventId: eventId(), event, recordedAtMs });
    });
    const erasureRows = erasures.flatMap((erasure) =>
      changesOf(erasure)
        .flatMap((change) => eventsOf(erasure, change))
        .map((event, index) => {
          const { tenantId, erasureId } = erasure;
          const place = { tenantId, stream: { erasureId }, position: index + 1 } as const;
          return outboxRowOf({ ...place, eventId: eventId(), event, recordedAtMs });
        }),
    );
    await enqueue(tx, privacyTopic, [...tenantRows, ...erasureRows]);
  });
}

/** What consumers act on. Receipts and completions say nothing that any of them needs. */
function changesOf(erasure: Erasure): readonly ErasureChange[] {
  const requested: ErasureChange = { type: 'requested', request: erasure };
  return erasure.fence === undefined
    ? [requested]
    : [requested, { type: 'fenced', fence: erasure.fence }];
}

async function allTenants(db: Kysely<PrivacySchema>) {
  const tenants = await tenantsAfter(db, '', pageRows);
  for (let page = tenants; page.length === pageRows;) {
    page = await tenantsAfter(db, page.at(-1)?.tenantId ?? '', pageRows);
    tenants.push(...page);
  }
  return tenants;
}
