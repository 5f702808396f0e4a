import type { Transaction } from 'kysely';
import { lockFencesShared } from '../database/fence-lock.ts';
import type { Scope } from '../ids/ids.ts';
import type { SealLease } from '../key-client/port.ts';
import type { RandomBytes } from '../lifecycle/clock.ts';
import { enqueue } from '../outbox/enqueue.ts';
import { type LeasedBatch, type LoadedBatch, streamKeyOf, streamLeaseOf } from './batch.ts';
import { decideBatch } from './decide-batch.ts';
import { findIndexed, insertIndexRows } from './event-index.ts';
import type { AppendAnswer } from './family.ts';
import { createPooledRandomness } from './pooled-randomness.ts';
import { readFences } from './fences.ts';
import { addPersonBoxes, insertRecords } from './read-model.ts';
import { recordIdOf } from '../ids/record-id.ts';
import {
  deleteEmptyStreams,
  insertMissingStreams,
  lockStreams,
  type StreamKey,
  streamText,
  updateStreams,
} from './streams.ts';
import type { EventStoreSchema } from './tables.ts';

export interface TransactionPorts {
  readonly partitions: number;
  readonly nowMs: () => number;
  readonly randomBytes: RandomBytes;
  readonly traceContext?: () => Buffer | undefined;
}

/**
 * The one transaction of a batch. Nothing is awaited in it but SQL, as it holds locks and PGlite's one connection. If
 * the process dies before the commit nothing has happened and the caller has no answer; after it the events are in the
 * outbox, and the caller's retry finds duplicates.
 */
export async function appendInTransaction<Command, State>(
  tx: Transaction<EventStoreSchema>,
  batch: LeasedBatch<Command, State>,
  ports: TransactionPorts,
): Promise<readonly AppendAnswer[]> {
  const { tenantId, family } = batch;
  const recordedAtMs = ports.nowMs();
  await lockFencesShared(tx, family.service, [tenantId]);
  const fences = await readFences(tx, tenantId, scopesOf(batch));
  const missing = streamsToOpen(batch);
  await insertMissingStreams(tx, tenantId, missing, ports.partitions);
  const streams = await lockStreams(tx, tenantId, streamTokensOf(batch));
  const events = batch.items.filter((item) => item.isObservation !== true);
  const recordIds = new Map(events.map(({ eventId }) => [eventId, recordIdOf(tenantId, eventId)]));
  const indexed = await findIndexed(tx, [...recordIds.values()]);
  const randomBytes = createPooledRandomness(ports.randomBytes);
  const found = { fences, streams, recordIds, indexed };
  const traceContext = ports.traceContext?.();
  const loaded: LoadedBatch = { ...found, recordedAtMs, randomBytes, traceContext };

  const outcome = decideBatch(batch, loaded);

  if (outcome.indexRows.length > 0) {
    await insertIndexRows(tx, tenantId, outcome.indexRows);
    await enqueue(tx, family.topic, outcome.outboxRows);
    await insertRecords(tx, tenantId, outcome.recordRows);
    await addPersonBoxes(tx, tenantId, outcome.personBoxes);
  }
  await updateStreams(tx, tenantId, outcome.movedStreams);
  await deleteEmptyStreams(tx, tenantId, unusedStreams(missing, streams, outcome.movedStreams));
  // A key that was revoked while we wrote must not be committed under.
  for (const lease of grantedLeases(batch)) lease.assertUsable();
  return outcome.answers;
}

function grantedLeases<Command, State>(batch: LeasedBatch<Command, State>): readonly SealLease[] {
  const { facts, persons, streams } = batch.leases;
  const all = [facts, ...persons.values(), ...streams.values()];
  return [...new Set(all)].flatMap((lease) => (lease.granted ? [lease] : []));
}

function scopesOf<Command, State>(batch: LeasedBatch<Command, State>): readonly Scope[] {
  return grantedLeases(batch).map((lease) => lease.scope);
}

function streamTokensOf<Command, State>(batch: LeasedBatch<Command, State>) {
  const keys = batch.items.flatMap((item) => {
    const lease = streamLeaseOf(batch, item);
    return lease.granted ? [streamKeyOf(item, lease).token] : [];
  });
  return [...new Set(keys)];
}

function streamsToOpen<Command, State>(batch: LeasedBatch<Command, State>): readonly StreamKey[] {
  const keys = new Map<string, StreamKey>();
  for (const item of batch.items) {
    const lease = streamLeaseOf(batch, item);
    if (!item.opensStream || !lease.granted) continue;
    const key = streamKeyOf(item, lease);
    keys.set(streamText(key), key);
  }
  return [...keys.values()];
}

function unusedStreams(
  missing: readonly StreamKey[],
  found: LoadedBatch['streams'],
  moved: readonly StreamKey[],
): readonly StreamKey[] {
  const used = new Set(moved.map(streamText));
  return missing.filter(
    (key) => !used.has(streamText(key)) && found.get(streamText(key))?.position === 0,
  );
}
