import type { OpenedRecord } from '@lethe/platform/event-store/open-records.ts';
import { parseTicketRef } from '@lethe/platform/event-store/parse-ticket-ref.ts';
import {
  findTicket,
  type ReadPorts,
  readTicket,
  ticketErased,
  ticketUnknown,
} from '@lethe/platform/event-store/ticket-streams.ts';
import { requireTenant } from '@lethe/platform/grpc/caller.ts';
import type { UnaryHandler } from '@lethe/platform/grpc/handler.ts';
import type { TenantId, Token } from '@lethe/platform/ids/ids.ts';
import type { KeyClient } from '@lethe/platform/key-client/port.ts';
import { familyBytesOf } from '@lethe/platform/sealing/event.ts';
import { PredictionEvent } from '@lethe/proto/gen/lethe/predictions/v1/events.ts';
import type {
  ListPredictionsRequest,
  ListPredictionsResponse,
  PredictionEntry,
} from '@lethe/proto/gen/lethe/predictions/v1/service.ts';
import { predictionStateCodec } from '../prediction-events.ts';

/** Every prediction event of a ticket as far as it can be read, in order. */
export function listPredictions(
  ports: ReadPorts,
): UnaryHandler<ListPredictionsRequest, ListPredictionsResponse> {
  return async (request, call) => {
    const tenantId = requireTenant(call);
    const token = await parseTicketRef(ports.keys, tenantId, request.ticket);
    const stream = await findTicket(ports, tenantId, token);
    if (stream === undefined) {
      await requireTicketKey(ports.keys, tenantId, token);
      return { ticketToken: token, entries: [] };
    }
    const records = await readTicket(ports, tenantId, stream, predictionStateCodec);
    return { ticketToken: token, entries: records.map(entryOf) };
  };
}

// Tickets without predictions have no rows here; whether there is such a ticket is for its key to say.
async function requireTicketKey(keys: KeyClient, tenantId: TenantId, token: Token): Promise<void> {
  const [lease] = await keys.leaseForSeal(tenantId, [{ scope: { kind: 'ticket', token } }]);
  if (lease?.granted === true) return;
  throw lease?.status === 'erased' ? ticketErased(token) : ticketUnknown(token);
}

function entryOf(opened: OpenedRecord): PredictionEntry {
  return {
    eventId: opened.eventId,
    position: opened.position,
    occurredAt: new Date(opened.occurredAtMs),
    type: opened.shape.type,
    event: PredictionEvent.decode(familyBytesOf(opened.shape, opened.eventBytes)),
    erasedParts: [...opened.erasedParts],
  };
}
