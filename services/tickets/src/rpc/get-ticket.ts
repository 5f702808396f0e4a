import { parseTicketRef } from '@lethe/platform/event-store/parse-ticket-ref.ts';
import {
  findTicket,
  type ReadPorts,
  ticketErased,
  ticketUnknown,
} from '@lethe/platform/event-store/ticket-streams.ts';
import { requireTenant } from '@lethe/platform/grpc/caller.ts';
import type { UnaryHandler } from '@lethe/platform/grpc/handler.ts';
import type {
  GetTicketRequest,
  GetTicketResponse,
} from '@lethe/proto/gen/lethe/tickets/v1/service.ts';
import { viewTickets } from './ticket-view.ts';

export function getTicket(ports: ReadPorts): UnaryHandler<GetTicketRequest, GetTicketResponse> {
  return async (request, call) => {
    const tenantId = requireTenant(call);
    const token = await parseTicketRef(ports.keys, tenantId, request.ticket);
    const stream = await findTicket(ports, tenantId, token);
    if (stream === undefined) throw ticketUnknown(token);
    const [ticket] = await viewTickets(ports, tenantId, [stream]);
    if (ticket === undefined || ticket === 'erased') throw ticketErased(token);
    return { ticket };
  };
}
