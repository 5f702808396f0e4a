import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import { type OpenedRecord, openAll } from '@lethe/platform/event-store/open-records.ts';
import { parseTicketRef } from '@lethe/platform/event-store/parse-ticket-ref.ts';
import { readRecords, recordBytesOf } from '@lethe/platform/event-store/read-streams.ts';
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
import { requireTicket, ticketErased } from './get-ticket.ts';
import type { ReadPorts } from './ticket-view.ts';

/** gRPC clients take 4 MiB unless told otherwise. */
const answerBytesMax = 3.5 * 1024 * 1024;

/** Every event of a ticket as far as it can be read, in order. */
export function getTranscript(
  ports: ReadPorts,
): UnaryHandler<GetTranscriptRequest, GetTranscriptResponse> {
  return async (request, call) => {
    const tenantId = requireTenant(call);
    const token = await parseTicketRef(ports.keys, tenantId, request.ticket);
    const stream = await requireTicket(ports, tenantId, token);
    const bytes = await recordBytesOf(ports.db, tenantId, stream);
    if (bytes > answerBytesMax) {
      throw new ServiceError('ANSWER_TOO_LARGE', `The transcript of ${token} has ${bytes} bytes.`);
    }
    const { states, records } = await openAll(ports.keys, tenantId, {
      records: await readRecords(ports.db, tenantId, stream),
      wants: () => true,
      // The ticket's own key says whether it was erased, also before its fence has arrived here.
      states: [{ stream, scope: { kind: 'ticket', token } }],
      codec: ticketStateCodec,
    });
    if (states[0] === 'erased') throw ticketErased(token);
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
