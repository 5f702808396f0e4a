import type { NewRecord } from '@lethe/platform/consumer/port.ts';
import { decodePrivacyEvent } from '@lethe/platform/consumer/privacy-event.ts';
import {
  type ErasureId,
  isUuidText,
  type TenantId,
  tokenFromBytes,
} from '@lethe/platform/ids/ids.ts';
import type { ServiceName } from '@lethe/proto/access.ts';
import type {
  ErasureReceiptRecorded,
  ErasureRequested,
  PrivacyEvent,
} from '@lethe/proto/gen/lethe/privacy/v1/events.ts';
import type { Kysely, Transaction } from 'kysely';
import { decide, type Erasure, type ErasureCommand, evolve } from './domain/erasure.ts';
import { receiptOfMessage } from './receipt-message.ts';
import type { PrivacySchema } from './schema.ts';
import {
  insertErasure,
  insertReceipt,
  lockErasure,
  type StoredErasure,
  updateErasure,
} from './store.ts';
import { claimTenant, markRegistered, type TenantSettings } from './tenant-store.ts';

type Tx = Transaction<PrivacySchema>;
type Event = NonNullable<PrivacyEvent['event']>;

/**
 * Brings records of privacy.v1 that the tables lack into them: tenants, requests, receipts. For a database that lost
 * commits; nothing else may work on it. Applying a record again changes nothing.
 *
 * A fence and a completion are not taken over: how many keys were destroyed and the certificate itself are not on the
 * log. The driver fences again, which `keys` answers as it did the first time, and completes with a new certificate.
 */
export async function applyPrivacyRecords(
  db: Kysely<PrivacySchema>,
  records: readonly NewRecord[],
): Promise<void> {
  await db.transaction().execute(async (tx) => {
    for (const record of records) await applyRecord(tx, record);
  });
}

async function applyRecord(tx: Tx, { sequence, offset, record }: NewRecord): Promise<void> {
  const { tenantId, event } = decodePrivacyEvent({ sequence, offset, record });
  const position = Number(record.header?.position ?? 0n);
  switch (event.$case) {
    case 'tenantRegistered':
      return applyTenant(tx, tenantId, event.value.settings, event.value.registeredAt);
    case 'erasureRequested':
      return applyRequest(tx, tenantId, event.value);
    case 'erasureReceiptRecorded':
      return applyToErasure(tx, position, event, receiptCommand(event.value));
    case 'scopesErased':
    case 'erasureCompleted':
      return applyToErasure(tx, position, event, undefined);
    // Of rights that this version does not handle yet: nothing of them is in the tables.
    case 'tenantSettingsChanged':
    case 'tenantTerminated':
    case 'processingRestricted':
    case 'restrictionLifted':
    case 'statisticsObjected':
    case 'objectionWithdrawn':
    case 'legalHoldPlaced':
    case 'legalHoldReleased':
      return undefined;
  }
}

async function applyTenant(
  tx: Tx,
  tenantId: TenantId,
  settings: Partial<TenantSettings> | undefined,
  registeredAt: Date | undefined,
): Promise<void> {
  const { region = '', retentionDays = 0, returningPersons = 0 } = settings ?? {};
  await claimTenant(tx, tenantId, { region, retentionDays, returningPersons });
  await markRegistered(tx, tenantId, registeredAt?.getTime() ?? 0);
}

async function applyRequest(
  tx: Tx,
  tenantId: TenantId,
  { erasureId, ground, personTokens, requestedAt }: ErasureRequested,
): Promise<void> {
  const request = {
    tenantId,
    erasureId: erasureIdOf(erasureId),
    ground,
    personTokens: personTokens.map(tokenFromBytes),
    requestedAtMs: requestedAt?.getTime() ?? 0,
  };
  const erasure = evolve(undefined, { type: 'requested', request });
  await insertErasure(tx, { erasure, events: 1 });
}

function receiptCommand(event: ErasureReceiptRecorded): ErasureCommand {
  // Recorded by this service, which knew who had sent it.
  const receipt = receiptOfMessage(event.service as ServiceName, event);
  return { type: 'recordReceipt', receipt };
}

async function applyToErasure(
  tx: Tx,
  position: number,
  event: Extract<Event, { value: { erasureId: string } }>,
  command: ErasureCommand | undefined,
): Promise<void> {
  const stored = await lockErasure(tx, erasureIdOf(event.value.erasureId));
  if (stored === undefined || position <= stored.events) return;
  const erasure = command === undefined ? stored.erasure : await changed(tx, stored, command);
  await updateErasure(tx, { erasure, events: position });
}

async function changed(
  tx: Tx,
  { erasure }: StoredErasure,
  command: ErasureCommand,
): Promise<Erasure> {
  let state = erasure;
  for (const change of decide(command, erasure)) {
    state = evolve(state, change);
    if (change.type === 'receiptRecorded') {
      await insertReceipt(tx, erasure.erasureId, change.receipt);
    }
  }
  return state;
}

function erasureIdOf(text: string): ErasureId {
  if (!isUuidText(text)) throw new RangeError('a privacy event without erasure id');
  return text;
}
