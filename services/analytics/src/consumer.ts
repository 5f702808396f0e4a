import { KeyServiceService } from '@lethe/proto/gen/lethe/keys/v1/service.ts';
import type { ScopesErased } from '@lethe/proto/gen/lethe/privacy/v1/events.ts';
import type { ConsumerEffect, NewRecord } from '@lethe/platform/consumer/port.ts';
import { decodePrivacyEvent } from '@lethe/platform/consumer/privacy-event.ts';
import { lockFencesExclusively } from '@lethe/platform/database/fence-lock.ts';
import { type Fence, raiseFences } from '@lethe/platform/event-store/fences.ts';
import type { Peers } from '@lethe/platform/grpc/handler.ts';
import { type ErasureId, isUuidText, type Scope, type TenantId } from '@lethe/platform/ids/ids.ts';
import type { Clock } from '@lethe/platform/lifecycle/clock.ts';
import { dropErased } from '@lethe/platform/parking/store.ts';
import { storeReceipt } from '@lethe/platform/receipts/receipts.ts';
import { parseScope } from '@lethe/platform/sealing/scope-wire.ts';
import { type CounterId, counterKeyOf } from './domain/accept.ts';
import { families } from './domain/families.ts';
import { topicsOfKind } from './projection/analytics-parking.ts';
import {
  type AnalyticsSchema,
  type AnalyticsTransaction,
  markCountersFull,
  storeTenant,
} from './store.ts';

/** What a privacy event means here, with everything that had to be asked for. */
export type PreparedPrivacyEvent =
  | { readonly kind: 'tenant'; readonly tenantId: TenantId; readonly registeredAtMs: number }
  | {
      readonly kind: 'erasure';
      readonly tenantId: TenantId;
      readonly erasureId: ErasureId;
      /** Personal data as long as the months are open: never logged. */
      readonly counters: ReadonlyMap<string, CounterId>;
      readonly fences: readonly ErasedScope[];
      readonly isObliged: boolean;
    };

type ErasedScope = Fence & { readonly scope: Exclude<Scope, { kind: 'facts' }> };

export interface PrivacyEffectPorts {
  readonly peers: Peers;
  readonly clock: Clock;
  /** Called after the commit; the sender's loop finds the receipt by itself when this is lost. */
  readonly onReceipt: () => void;
}

const callTimeoutMs = 10_000;

/**
 * What analytics does with privacy.v1. Tenants are counted. When people were erased, their contributions to the open
 * months are closed: nothing more of them is accepted, whatever is still on its way. No cell changes: totals keep
 * erased events, and released cells do not rest on erasure. Events of theirs that are parked are dropped and were never
 * counted: the receipt says how many, and that the ledger lacks them. With that the receipt is due.
 * If the process dies before the commit, the event is prepared again; `keys` answers the same.
 */
export function createPrivacyEffect(
  ports: PrivacyEffectPorts,
): ConsumerEffect<AnalyticsSchema, readonly PreparedPrivacyEvent[]> {
  return {
    prepare: async (_from, records) => {
      const prepared: PreparedPrivacyEvent[] = [];
      for (const record of records) prepared.push(...(await prepareRecord(ports.peers, record)));
      return prepared;
    },
    apply: async (tx, events) => {
      const erased = events.flatMap(({ kind, tenantId }) => (kind === 'erasure' ? [tenantId] : []));
      // From the commit on, nothing of these streams is parked or replayed any more.
      await lockFencesExclusively(tx, 'analytics', erased);
      for (const event of events) await applyEvent(tx, event, ports.clock);
    },
    committed: (events) => {
      if (events.some(({ kind }) => kind === 'erasure')) ports.onReceipt();
    },
  };
}

async function prepareRecord(
  peers: Peers,
  record: NewRecord,
): Promise<readonly PreparedPrivacyEvent[]> {
  const { tenantId, event } = decodePrivacyEvent(record);
  if (event.$case === 'tenantRegistered') {
    const registeredAtMs = event.value.registeredAt?.getTime() ?? 0;
    return [{ kind: 'tenant', tenantId, registeredAtMs }];
  }
  if (event.$case === 'scopesErased') return [await prepareErasure(peers, tenantId, event.value)];
  return [];
}

async function prepareErasure(
  peers: Peers,
  tenantId: TenantId,
  { erasureId, obligedServices, scopes }: ScopesErased,
): Promise<PreparedPrivacyEvent> {
  if (!isUuidText(erasureId)) throw new RangeError('a ScopesErased without erasure id');
  const { months } = await peers('keys').unary(
    KeyServiceService.contributors,
    { tenantId, erasureId },
    { timeoutMs: callTimeoutMs },
  );
  const counters = new Map<string, CounterId>();
  for (const { month, contributors } of months) {
    for (const contributor of contributors) {
      for (const id of countersOf(tenantId, month, contributor.toString('hex'))) {
        counters.set(counterKeyOf(id), id);
      }
    }
  }
  const isObliged = obligedServices.includes('analytics');
  return { kind: 'erasure', tenantId, erasureId, counters, fences: fencesOf(scopes), isObliged };
}

function fencesOf(scopes: ScopesErased['scopes']): readonly ErasedScope[] {
  return scopes.flatMap(({ kind, token, incarnation, cutOff }) => {
    const scope = parseScope(kind, token);
    if (scope === undefined) throw new RangeError('a ScopesErased with a scope of no known kind');
    // The cut-off says which events are refused at their append; nothing is appended here.
    return scope.kind === 'facts' ? [] : [{ scope, incarnation, cutOffMs: cutOff?.getTime() ?? 0 }];
  });
}

/** Every counter that one person can have in one month. */
function countersOf(tenantId: TenantId, month: number, contributor: string): readonly CounterId[] {
  return families.flatMap(({ name, release }) =>
    release.grains.map((grain) => ({ tenantId, family: name, grain, month, contributor })),
  );
}

async function applyEvent(
  tx: AnalyticsTransaction,
  event: PreparedPrivacyEvent,
  clock: Clock,
): Promise<void> {
  if (event.kind === 'tenant') {
    await storeTenant(tx, event.tenantId, event.registeredAtMs);
    return;
  }
  await raiseFences(tx, event.tenantId, event.fences);
  const dropped = await dropParked(tx, event.tenantId, event.fences);
  await markCountersFull(tx, event.counters);
  if (!event.isObliged) return;
  const { erasureId } = event;
  const receipt = {
    service: 'analytics',
    records: 0n,
    rows: BigInt(dropped),
    boxesUnreadable: 0n,
    // What was parked was never counted, and now never will be.
    ledgerComplete: dropped === 0,
    finishedAt: new Date(clock.nowMs()),
  };
  await storeReceipt(tx, event.tenantId, { erasureId, receipt });
}

/** Drops what is parked of the erased streams; answers how many records. */
async function dropParked(
  tx: AnalyticsTransaction,
  tenantId: TenantId,
  fences: readonly ErasedScope[],
): Promise<number> {
  let dropped = 0;
  for (const kind of ['ticket', 'person'] as const) {
    const streams = fences.flatMap(({ scope, incarnation }) =>
      scope.kind === kind ? [{ token: scope.token, incarnation }] : [],
    );
    dropped += await dropErased(tx, tenantId, topicsOfKind(kind), streams);
  }
  return dropped;
}
