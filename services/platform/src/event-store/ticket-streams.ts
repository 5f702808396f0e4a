import type { Kysely } from 'kysely';
import { ServiceError } from '../errors/service-error.ts';
import type { TenantId, Token } from '../ids/ids.ts';
import type { KeyClient } from '../key-client/port.ts';
import type { StateCodec } from './family.ts';
import { type OpenedRecord, openAll } from './open-records.ts';
import { findTicketStream, readRecords, recordBytesOf } from './read-streams.ts';
import type { StreamRow } from './streams.ts';
import type { EventStoreSchema } from './tables.ts';

export interface ReadPorts {
  readonly db: Kysely<EventStoreSchema>;
  readonly keys: KeyClient;
}

/** gRPC clients take 4 MiB unless told otherwise. */
const answerBytesMax = 3.5 * 1024 * 1024;

export function ticketErased(token: Token): ServiceError {
  return new ServiceError('TICKET_ERASED', `Ticket ${token} was erased.`);
}

export function ticketUnknown(token: Token): ServiceError {
  return new ServiceError('TICKET_UNKNOWN', `The tenant has no ticket ${token}.`);
}

/** The stream of a ticket, undefined when it has none here; a ticket of another tenant has none. Throws TICKET_ERASED. */
export async function findTicket(
  { db }: Pick<ReadPorts, 'db'>,
  tenantId: TenantId,
  token: Token,
): Promise<StreamRow | undefined> {
  const found = await findTicketStream(db, tenantId, token);
  if (found.kind === 'erased') throw ticketErased(token);
  return found.kind === 'found' ? found.stream : undefined;
}

/**
 * Every record of a ticket as far as it can be read, in order. Throws TICKET_ERASED, also before the fence has arrived
 * here (the ticket's own key says so), and ANSWER_TOO_LARGE.
 */
export async function readTicket<State>(
  { db, keys }: ReadPorts,
  tenantId: TenantId,
  stream: StreamRow,
  codec: StateCodec<State>,
): Promise<readonly OpenedRecord[]> {
  const { token } = stream;
  const bytes = await recordBytesOf(db, tenantId, stream);
  if (bytes > answerBytesMax) {
    throw new ServiceError(
      'ANSWER_TOO_LARGE',
      `The events of ticket ${token} have ${bytes} bytes.`,
    );
  }
  const { states, records } = await openAll(keys, tenantId, {
    records: await readRecords(db, tenantId, stream),
    wants: () => true,
    states: [{ stream, scope: { kind: 'ticket', token } }],
    codec,
  });
  if (states[0] === 'erased') throw ticketErased(token);
  return records;
}
