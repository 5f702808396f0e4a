import { encodePageToken, parsePageToken } from '@lethe/platform/event-store/page-token.ts';
import { listStreams } from '@lethe/platform/event-store/read-streams.ts';
import type { ReadPorts } from '@lethe/platform/event-store/ticket-streams.ts';
import { requireTenant } from '@lethe/platform/grpc/caller.ts';
import type { UnaryHandler } from '@lethe/platform/grpc/handler.ts';
import { parsePageSize } from '@lethe/platform/grpc/parse-request.ts';
import type {
  ListTicketsRequest,
  ListTicketsResponse,
} from '@lethe/proto/gen/lethe/tickets/v1/service.ts';
import { viewTickets } from './ticket-view.ts';

const pageSizeDefault = 50;
const pageSizeMax = 200;

/** Newest opened first. A page may hold fewer tickets than asked for: erased ones that are still being removed. */
export function listTickets(
  ports: ReadPorts,
): UnaryHandler<ListTicketsRequest, ListTicketsResponse> {
  return async (request, call) => {
    const tenantId = requireTenant(call);
    const pageSize = parsePageSize(request.pageSize, pageSizeDefault, pageSizeMax);
    const after = parsePageToken(request.pageToken);
    const streams = await listStreams(ports.db, tenantId, after, pageSize + 1);
    const page = streams.slice(0, pageSize);
    const last = streams.length > pageSize ? page.at(-1) : undefined;
    const tickets = await viewTickets(ports, tenantId, page);
    return {
      tickets: tickets.filter((ticket) => ticket !== 'erased'),
      nextPageToken: last === undefined ? '' : encodePageToken(last),
    };
  };
}
