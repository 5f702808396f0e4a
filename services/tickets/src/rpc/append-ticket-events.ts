import { appendBatch, type BatchAppender } from '@lethe/platform/event-store/append-batch.ts';
import { requireTenant } from '@lethe/platform/grpc/caller.ts';
import type { BidiHandler, UnaryHandler } from '@lethe/platform/grpc/handler.ts';
import type {
  AppendTicketEventsRequest,
  AppendTicketEventsResponse,
  StreamTicketEventsRequest,
  StreamTicketEventsResponse,
} from '@lethe/proto/gen/lethe/tickets/v1/service.ts';
import type { AnyTicketEvent } from '../domain/state.ts';
import { createTicketEventParser } from './ticket-event-parser.ts';

export interface AppendPorts extends BatchAppender<AnyTicketEvent> {
  readonly nowMs: () => number;
}

export function appendTicketEvents(
  ports: AppendPorts,
): UnaryHandler<AppendTicketEventsRequest, AppendTicketEventsResponse> {
  const parser = createTicketEventParser(ports.nowMs);
  return async (request, call) => ({
    results: await appendBatch(ports, parser, requireTenant(call), request.events),
  });
}

/**
 * One message after the other: the next is read when the one before is committed and its acknowledgement taken, so a
 * slow caller holds back nobody but itself.
 */
export function streamTicketEvents(
  ports: AppendPorts,
): BidiHandler<StreamTicketEventsRequest, StreamTicketEventsResponse> {
  const parser = createTicketEventParser(ports.nowMs);
  return async function* (requests, call) {
    const tenantId = requireTenant(call);
    for await (const request of requests) {
      yield { results: await appendBatch(ports, parser, tenantId, request.events) };
    }
  };
}
