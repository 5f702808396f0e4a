import { sql, type Transaction } from 'kysely';
import type { ServiceName } from '@lethe/proto/access.ts';
import type { ScopesErased } from '@lethe/proto/gen/lethe/privacy/v1/events.ts';
import type { ConsumerEffect, NewRecord } from '../consumer/port.ts';
import { decodePrivacyEvent } from '../consumer/privacy-event.ts';
import { lockFencesExclusively } from '../database/fence-lock.ts';
import { type ErasureId, isUuidText, type Scope, type TenantId } from '../ids/ids.ts';
import type { Clock } from '../lifecycle/clock.ts';
import { parseScope } from '../sealing/scope-wire.ts';
import { type Fence, raiseFences } from './fences.ts';
import type { EventStoreSchema } from './tables.ts';

/** A tombstone event, parsed. */
export interface ParsedErasure {
  readonly tenantId: TenantId;
  readonly erasureId: ErasureId;
  /** Tickets and persons; whole tenants are not erased by scopes. */
  readonly fences: readonly (Fence & { readonly scope: Exclude<Scope, { kind: 'facts' }> })[];
}

export interface ErasureEffectPorts {
  readonly service: ServiceName;
  readonly clock: Clock;
  /** Called after the commit: the job's loop finds the work by itself when this is lost. */
  readonly onJob: () => void;
}

/**
 * What an event owner does with privacy.v1: for every ScopesErased it raises the fences and stores a job, under the
 * exclusive fence lock, and nothing more. When that has committed, no append that relied on the absence
 * of the fence is still under way.
 */
export function createErasureEffect(
  ports: ErasureEffectPorts,
): ConsumerEffect<EventStoreSchema, readonly ParsedErasure[]> {
  return {
    prepare: async (_from, records) => records.flatMap(parseErasure),
    apply: async (tx, erasures) => {
      const tenantIds = erasures.map(({ tenantId }) => tenantId);
      await lockFencesExclusively(tx, ports.service, tenantIds);
      for (const erasure of erasures) await storeErasure(tx, erasure, ports);
    },
    committed: (erasures) => {
      if (erasures.length > 0) ports.onJob();
    },
  };
}

function parseErasure(record: NewRecord): readonly ParsedErasure[] {
  const { tenantId, event } = decodePrivacyEvent(record);
  if (event.$case !== 'scopesErased') return [];
  const { erasureId } = event.value;
  if (!isUuidText(erasureId)) throw new RangeError('a ScopesErased without erasure id');
  return [{ tenantId, erasureId, fences: fencesOf(event.value) }];
}

function fencesOf({ scopes }: ScopesErased): ParsedErasure['fences'] {
  return scopes.flatMap(({ kind, token, incarnation, cutOff }) => {
    const scope = parseScope(kind, token);
    // Without its cut-off a person's fence would refuse nothing.
    if (scope === undefined || cutOff === undefined) {
      throw new RangeError('a ScopesErased with a scope of no known kind, or without its cut-off');
    }
    if (scope.kind === 'facts') return [];
    return [{ scope, incarnation, cutOffMs: cutOff.getTime() }];
  });
}

// An event that is published again after the job has ended finds nothing to do: scopes that it noted would stay for ever.
async function storeErasure(
  tx: Transaction<EventStoreSchema>,
  { tenantId, erasureId, fences }: ParsedErasure,
  { clock }: ErasureEffectPorts,
): Promise<void> {
  await raiseFences(tx, tenantId, fences);
  await sql`
    insert into erasure_jobs (tenant_id, erasure_id, phase, created_at_ms, records, rows, boxes_unreadable,
      ledger_complete)
    values (${tenantId}, ${erasureId}, 'relay', ${clock.nowMs()}, 0, 0, 0, true)
    on conflict do nothing`.execute(tx);
  await sql`
    insert into erasure_scopes (tenant_id, erasure_id, kind, token, incarnation)
    select ${tenantId}, ${erasureId}, erased.kind, erased.token, erased.incarnation
    from unnest(${fences.map((fence) => fence.scope.kind)}::text[],
      ${fences.map((fence) => fence.scope.token)}::text[],
      ${fences.map((fence) => fence.incarnation)}::int4[]) as erased (kind, token, incarnation)
    where exists (select 1 from erasure_jobs where tenant_id = ${tenantId} and erasure_id = ${erasureId}
      and phase <> 'done')
    on conflict do nothing`.execute(tx);
}
