import type { sendUnaryData, ServerDuplexStream, ServerUnaryCall } from '@grpc/grpc-js';
import { AppendOutcome, AppendResult } from '@lethe/proto/gen/lethe/log/v1/append.ts';
import {
  NewTicketEvent,
  TicketServiceService,
  type GetTicketRequest,
  type StreamTicketEventsRequest,
  type StreamTicketEventsResponse,
} from '@lethe/proto/gen/lethe/tickets/v1/service.ts';
import { failure, type FailureWish } from './fake-server.ts';

/** A ticket service in memory that knows duplicates and conflicts, and nothing else of what the real one does. */
export function createFakeTickets() {
  const stored = new Map<string, Buffer>();
  const received: NewTicketEvent[] = [];
  const failures: FailureWish[] = [];
  const refusals: (FailureWish | undefined)[] = [];
  const methods = {
    streamTicketEvents: (
      call: ServerDuplexStream<StreamTicketEventsRequest, StreamTicketEventsResponse>,
    ) => {
      call.on('data', ({ events }: StreamTicketEventsRequest) => {
        const refusal = refusals.shift();
        if (refusal !== undefined) {
          call.emit('error', failure(refusal));
          return;
        }
        const results = events.map((event) => append(event, stored, received));
        // Committed and not acknowledged: what a break at the worst moment leaves behind.
        const next = failures.shift();
        if (next === undefined) call.write({ results });
        else call.emit('error', failure(next));
      });
      call.on('end', () => call.end());
    },
    getTicket: (
      { request }: ServerUnaryCall<GetTicketRequest, never>,
      respond: sendUnaryData<never>,
    ) => {
      const next = failures.shift();
      respond(
        failure(next ?? { code: 5, message: `no ticket for ${request.ticket?.$case ?? ''}` }),
      );
    },
  };
  return {
    service: [TicketServiceService, methods] as const,
    stored,
    received,
    /** The next message, or call, is answered with this error. */
    failNext: (wish: FailureWish) => {
      failures.push(wish);
    },
    /** The next message is refused with this error and stored nowhere; undefined lets one pass. */
    refuseNext: (wish: FailureWish | undefined) => {
      refusals.push(wish);
    },
  };
}

function append(
  event: NewTicketEvent,
  stored: Map<string, Buffer>,
  received: NewTicketEvent[],
): AppendResult {
  received.push(event);
  const id = event.id?.value ?? '';
  const bytes = Buffer.from(NewTicketEvent.encode(event).finish());
  const earlier = stored.get(id);
  if (earlier !== undefined) {
    const isSame = earlier.equals(bytes);
    const outcome = isSame
      ? AppendOutcome.APPEND_OUTCOME_DUPLICATE
      : AppendOutcome.APPEND_OUTCOME_CONFLICT;
    return AppendResult.fromPartial({ outcome, reason: isSame ? '' : 'EVENT_CONFLICT' });
  }
  stored.set(id, bytes);
  return AppendResult.fromPartial({ outcome: AppendOutcome.APPEND_OUTCOME_ACCEPTED });
}
