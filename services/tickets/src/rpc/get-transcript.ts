import type { OpenedRecord } from '@lethe/platform/event-store/open-records.ts';
import { parseTicketRef } from '@lethe/platform/event-store/parse-ticket-ref.ts';
import {
  findTicket,
  type ReadPorts,
  readTicket,
  ticketUnknown,
} from '@lethe/platform/event-store/ticket-streams.ts';
import { requireTenant } from '@lethe/platform/grpc/caller.ts';
import type { UnaryHandler } from '@lethe/platform/grpc/handler.ts';
import { familyBytesOf } from '@lethe/platform/sealing/event.ts';
import { TicketEvent } from '@lethe/proto/gen/lethe/tickets/v1/events.ts';
import type {
  GetTranscriptRequest,
  GetTranscriptResponse,
  TranscriptEntry,
} from '@lethe/proto/gen/lethe/tickets/v1/service.ts';
import { ticketStateCodec } from '../ticket-events.ts';

/** Every event of a ticket as far as it can be read, in order. */
export function getTranscript(
  ports: ReadPorts,
): UnaryHandler<GetTranscriptRequest, GetTranscriptResponse> {
  return async (request, call) => {
    const tenantId = requireTenant(call);
    const token = await parseTicketRef(ports.keys, tenantId, request.ticket);
    const stream = await findTicket(ports, tenantId, token);
    if (stream === undefined) throw ticketUnknown(token);
    const records = await readTicket(ports, tenantId, stream, ticketStateCodec);
    return { ticketToken: token, entries: records.map(entryOf) };
  };
}

function entryOf(opened: OpenedRecord): TranscriptEntry {
  return {
    eventId: opened.eventId,
    position: opened.position,
    occurredAt: new Date(opened.occurredAtMs),
    type: opened.shape.type,
    event: TicketEvent.decode(familyBytesOf(opened.shape, opened.eventBytes)),
    erasedParts: [...opened.erasedParts],
  };
}
