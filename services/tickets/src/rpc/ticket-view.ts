import { openAll } from '@lethe/platform/event-store/open-records.ts';
import { readFirstRecords } from '@lethe/platform/event-store/read-streams.ts';
import type { StreamRow } from '@lethe/platform/event-store/streams.ts';
import type { ReadPorts } from '@lethe/platform/event-store/ticket-streams.ts';
import type { TenantId } from '@lethe/platform/ids/ids.ts';
import { TicketOpened } from '@lethe/proto/gen/lethe/tickets/v1/events.ts';
import type { Ticket } from '@lethe/proto/gen/lethe/tickets/v1/service.ts';
import type { TicketState } from '../domain/state.ts';
import { ticketStateCodec } from '../ticket-events.ts';

interface OpenedTicket {
  readonly event: TicketOpened;
  readonly requesterToken: string;
  readonly isRequesterErased: boolean;
}

/** What can be read of these tickets, in their order; `erased` where a ticket's key is gone. */
export async function viewTickets(
  { db, keys }: ReadPorts,
  tenantId: TenantId,
  streams: readonly StreamRow[],
): Promise<readonly (Ticket | 'erased')[]> {
  const firstRecords = await readFirstRecords(db, tenantId, streams);
  const { states, records } = await openAll(keys, tenantId, {
    records: streams.flatMap((stream) => firstRecords.get(stream.token) ?? []),
    wants: (kind) => kind !== 'facts',
    states: streams.map((stream) => ({
      stream,
      scope: { kind: 'ticket', token: stream.token } as const,
    })),
    codec: ticketStateCodec,
  });
  const openings = new Map(
    records.map(({ record, eventBytes, erasedParts }) => {
      const requester = record.parts.find((part) => part.name === 'requester');
      const opening: OpenedTicket = {
        event: TicketOpened.decode(eventBytes),
        requesterToken: requester?.scopeToken.toString('hex') ?? '',
        isRequesterErased: erasedParts.includes('requester'),
      };
      return [record.header?.streamToken.toString('hex') ?? '', opening];
    }),
  );
  return streams.map((stream, index) => {
    const state = states[index] ?? 'erased';
    return state === 'erased' ? state : ticketOf(stream, state, openings.get(stream.token));
  });
}

function ticketOf(
  stream: StreamRow,
  state: TicketState,
  opening: OpenedTicket | undefined,
): Ticket {
  return {
    ticketToken: stream.token,
    status: state.status,
    dimensions: state.dimensions,
    openedAt: new Date(state.openedAtMs),
    updatedAt: new Date(state.latestAtMs),
    firstRepliedAt: dateOf(state.firstRepliedAtMs),
    solvedAt: dateOf(state.solvedAtMs),
    replies: state.replies,
    reopens: state.reopens,
    events: BigInt(stream.position),
    requesterToken: opening?.requesterToken ?? '',
    subject: opening?.event.content?.subject ?? '',
    requesterName: opening?.event.requester?.name ?? '',
    requesterErased: opening?.isRequesterErased ?? false,
  };
}

function dateOf(timeMs: number | undefined): Date | undefined {
  return timeMs === undefined ? undefined : new Date(timeMs);
}
