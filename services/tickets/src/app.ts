import { createAppendHandlers } from '@lethe/platform/event-store/append-handlers.ts';
import { createEventOwner, type OwnerPorts } from '@lethe/platform/event-store/owner.ts';
import { registerService } from '@lethe/platform/grpc/register.ts';
import type { Service } from '@lethe/platform/lifecycle/service.ts';
import { TicketsRebuildServiceService } from '@lethe/proto/gen/lethe/rebuild/v1/service.ts';
import { TicketServiceService } from '@lethe/proto/gen/lethe/tickets/v1/service.ts';
import type { TicketsConfig } from './config.ts';
import { migrations } from './migrations/migrations.ts';
import { ticketRebuildRules } from './rebuild.ts';
import { getTicket } from './rpc/get-ticket.ts';
import { getTranscript } from './rpc/get-transcript.ts';
import { listTickets } from './rpc/list-tickets.ts';
import { createTicketEventParser } from './rpc/ticket-event-parser.ts';
import { ticketFamily } from './ticket-events.ts';

export type TicketsPorts = OwnerPorts;

/** Composes the tickets service; nothing runs before `start`. */
export function createTickets(config: TicketsConfig, ports: TicketsPorts): Service {
  const { db, clock } = ports;
  const parser = createTicketEventParser(() => clock.nowMs());
  return createEventOwner(
    {
      family: ticketFamily,
      options: config.eventStore,
      migrations,
      rebuildRules: ticketRebuildRules,
      publicApi: ({ eventStore, keys, rebuild }) => {
        const { append, stream } = createAppendHandlers({ eventStore, keys }, parser);
        return [
          registerService(TicketServiceService, {
            appendTicketEvents: append,
            streamTicketEvents: stream,
            getTicket: getTicket({ db, keys }),
            listTickets: listTickets({ db, keys }),
            getTranscript: getTranscript({ db, keys }),
          }),
          registerService(TicketsRebuildServiceService, { rebuild }),
        ];
      },
    },
    ports,
  );
}
