import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import { parseTicketRef } from '@lethe/platform/event-store/parse-ticket-ref.ts';
import { findTicketStream } from '@lethe/platform/event-store/read-streams.ts';
import type { StreamRow } from '@lethe/platform/event-store/streams.ts';
import { requireTenant } from '@lethe/platform/grpc/caller.ts';
import type { UnaryHandler } from '@lethe/platform/grpc/handler.ts';
import type { TenantId, Token } from '@lethe/platform/ids/ids.ts';
import type {
  GetTicketRequest,
  GetTicketResponse,
} from '@lethe/proto/gen/lethe/tickets/v1/service.ts';
import { type ReadPorts, viewTickets } from './ticket-view.ts';

export function getTicket(ports: ReadPorts): UnaryHandler<GetTicketRequest, GetTicketResponse> {
  return async (request, call) => {
    const tenantId = requireTenant(call);
    const token = await parseTicketRef(ports.keys, tenantId, request.ticket);
    const stream = await requireTicket(ports, tenantId, token);
    const [ticket] = await viewTickets(ports, tenantId, [stream]);
    if (ticket === undefined || ticket === 'erased') throw ticketErased(token);
    return { ticket };
  };
}

/** Throws TICKET_ERASED or TICKET_UNKNOWN; a ticket of another tenant is unknown. */
export async function requireTicket(
  { db }: Pick<ReadPorts, 'db'>,
  tenantId: TenantId,
  token: Token,
): Promise<StreamRow> {
  const found = await findTicketStream(db, tenantId, token);
  if (found.kind === 'found') return found.stream;
  if (found.kind === 'erased') throw ticketErased(token);
  throw new ServiceError('TICKET_UNKNOWN', `The tenant has no ticket ${token}.`);
}

export function ticketErased(token: Token): ServiceError {
  return new ServiceError('TICKET_ERASED', `Ticket ${token} was erased.`);
}
