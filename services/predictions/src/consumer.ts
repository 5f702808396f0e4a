import type { ConsumerEffect, NewRecord } from '@lethe/platform/consumer/port.ts';
import { shapeOfCase } from '@lethe/platform/event-store/event-rules.ts';
import type { AppendItem } from '@lethe/platform/event-store/family.ts';
import type { LeasedObservations, Observer } from '@lethe/platform/event-store/observe.ts';
import { openRecords, type OpenedRecord } from '@lethe/platform/event-store/open-records.ts';
import type { EventStoreSchema } from '@lethe/platform/event-store/tables.ts';
import { isTenantId, type TenantId, tokenFromBytes } from '@lethe/platform/ids/ids.ts';
import type { KeyClient } from '@lethe/platform/key-client/port.ts';
import { familyBytesOf } from '@lethe/platform/sealing/event.ts';
import { TicketEvent } from '@lethe/proto/gen/lethe/tickets/v1/events.ts';
import type { TicketDimensionFacts } from '@lethe/proto/gen/lethe/tickets/v1/facts.ts';
import type { PredictionCommand } from './prediction.ts';

export interface TicketsEffectPorts {
  readonly keys: KeyClient;
  readonly observer: Observer<PredictionCommand>;
}

/** The ticket events after which a ticket's dimensions may be others. */
export const changingTypes: ReadonlySet<string> = new Set([
  'TicketOpened',
  'PriorityChanged',
  'CategoryChanged',
]);

/**
 * What predictions does with tickets.v1: it remembers the dimensions that tickets stamped, so that predictions can be
 * counted by them. Outcomes are not observed yet.
 */
export function createTicketsEffect({
  keys,
  observer,
}: TicketsEffectPorts): ConsumerEffect<EventStoreSchema, readonly LeasedObservations[]> {
  return {
    prepare: async (_from, records) => {
      const leased: LeasedObservations[] = [];
      for (const [tenantId, ofTenant] of byTenant(records)) {
        const opened = await openRecords(keys, tenantId, ofTenant, (kind) => kind === 'facts');
        leased.push(await observer.lease(tenantId, opened.flatMap(observationOf)));
      }
      return leased;
    },
    apply: async (tx, leased) => observer.apply(tx, leased),
  };
}

function byTenant(records: readonly NewRecord[]) {
  const tenants = new Map<TenantId, NewRecord['record'][]>();
  for (const { record } of records) {
    const { tenantId = '', type = '' } = record.header ?? {};
    // A redacted ticket's records come again: nothing in their facts is new.
    if (!isTenantId(tenantId) || !changingTypes.has(type) || record.resealed) continue;
    tenants.set(tenantId, [...(tenants.get(tenantId) ?? []), record]);
  }
  return tenants;
}

/** The dimensions that tickets stamped into an event. */
export function dimensionsOf(opened: OpenedRecord): TicketDimensionFacts | undefined {
  const { event } = TicketEvent.decode(familyBytesOf(opened.shape, opened.eventBytes));
  return event?.value.facts?.dimensions;
}

function observationOf(opened: OpenedRecord): readonly AppendItem<PredictionCommand>[] {
  const dimensions = dimensionsOf(opened);
  const streamToken = opened.record.header?.streamToken;
  if (dimensions === undefined || streamToken === undefined) return [];
  return [
    {
      eventId: opened.eventId,
      streamToken: tokenFromBytes(streamToken),
      shape: shapeOfCase('predictionMade'),
      eventBytes: Buffer.alloc(0),
      occurredAtMs: opened.occurredAtMs,
      causationId: undefined,
      persons: [],
      opensStream: true,
      ownerPart: undefined,
      agentPart: undefined,
      command: { $case: 'ticketDimensions', value: dimensions },
      isObservation: true,
    },
  ];
}
