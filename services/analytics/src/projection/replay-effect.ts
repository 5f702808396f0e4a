import type { ConsumerEffect } from '@lethe/platform/consumer/port.ts';
import type { TopicPartition } from '@lethe/platform/event-log/port.ts';
import type { KeyClient } from '@lethe/platform/key-client/port.ts';
import type { Clock } from '@lethe/platform/lifecycle/clock.ts';
import { claimsOf } from '../domain/accept.ts';
import type { CountedEvent } from '../domain/counted-event.ts';
import { type AnalyticsSchema, insertsOfManifest, markSkipsFolded } from '../store.ts';
import { storeChunk } from './commit-chunk.ts';
import { finishManifest, type InsertPorts } from './insert-manifests.ts';
import { countRecord, leaseFacts } from './open-records.ts';

/** Parked records of one stream, opened and counted: a chunk of their own. */
export interface PreparedReplay {
  readonly from: TopicPartition;
  readonly sequences: readonly bigint[];
  readonly events: readonly CountedEvent[];
  readonly manifestId: string;
}

export interface ReplayEffectPorts extends InsertPorts {
  readonly keyClient: Pick<KeyClient, 'leaseForOpen'>;
  readonly clock: Clock;
  readonly createManifestId: () => string;
}

/**
 * What replaying does with parked records: it folds them into a manifest of their own. That manifest has no ranges: the
 * sequences lie in the range of the chunk that passed over them, so that ranges stay free of gaps and overlaps;
 * `manifest_skips` says which manifest folded them. If the process dies after the commit, the manifest is pending and
 * whoever looks for manifests left behind inserts it.
 */
export function createReplayEffect({
  keyClient,
  clock,
  createManifestId,
}: ReplayEffectPorts): ConsumerEffect<AnalyticsSchema, PreparedReplay> {
  return {
    prepare: async (from, records) => {
      const leases = await leaseFacts(
        keyClient,
        records.map(({ record }) => record),
      );
      return {
        from,
        sequences: records.map(({ sequence }) => sequence),
        events: records.flatMap(({ record }) => countRecord(record, leases) ?? []),
        manifestId: createManifestId(),
      };
    },
    apply: async (tx, { from, sequences, events, manifestId }) => {
      const chunk = { ranges: [], events };
      const place = { manifestId, committedAtMs: clock.nowMs() };
      await storeChunk(tx, chunk, claimsOf(events), place);
      await markSkipsFolded(tx, manifestId, from, sequences);
    },
  };
}

/** Inserts what a replay committed; throws when ClickHouse is away, and the rows are inserted later all the same. */
export async function finishReplay(
  ports: InsertPorts,
  { manifestId }: PreparedReplay,
): Promise<void> {
  await finishManifest(ports, manifestId, await insertsOfManifest(ports.db, manifestId));
}
