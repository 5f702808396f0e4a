import { AppendOutcome, appendOutcomeToJSON } from '@lethe/proto/gen/lethe/log/v1/append.ts';
import { PersonKind } from '@lethe/proto/gen/lethe/people/v1/person.ts';
import { ErasureGround, ReturningPersons } from '@lethe/proto/gen/lethe/privacy/v1/enums.ts';
import { PrivacyServiceService } from '@lethe/proto/gen/lethe/privacy/v1/service.ts';
import { Channel, Priority } from '@lethe/proto/gen/lethe/tickets/v1/enums.ts';
import { TicketOpened } from '@lethe/proto/gen/lethe/tickets/v1/events.ts';
import { NewTicketEvent, TicketServiceService } from '@lethe/proto/gen/lethe/tickets/v1/service.ts';
import { verifyCertificate } from '../certificate/verify.ts';
import type { Caller, Session } from '../connection/session.ts';
import { exitCodes } from '../exit-codes.ts';
import { CliError } from '../failures/cli-error.ts';
import { CallError } from './call-error.ts';
import { watchErasure } from './watch-erasure.ts';

export interface RoundTripWish {
  /** Undefined: the token names it. */
  readonly tenant: string | undefined;
  /** Of the ticket and its requester, used by no other. */
  readonly name: string;
  readonly erasureId: string;
  /** Of certificates, PEM. */
  readonly publicKey: string;
  readonly nowMs: number;
}

/** False when it is registered already, with whatever settings. */
export async function registerForChecks(session: Session, tenantId: string): Promise<boolean> {
  const settings = {
    region: 'eu-central',
    retentionDays: 30,
    returningPersons: ReturningPersons.RETURNING_PERSONS_ALLOW,
  };
  const admin = session.as({ tenantId: undefined, roles: ['platform-admin'] });
  try {
    const request = { tenantId, settings };
    const { created } = await admin.unary(PrivacyServiceService.registerTenant, request);
    return created;
  } catch (error) {
    if (error instanceof CallError && error.details.reason === 'TENANT_EXISTS') return false;
    throw error;
  }
}

/** Appends a ticket, reads it, erases its requester, finds it unreadable and verifies the certificate. Throws where one fails. */
export async function roundTrip(
  tickets: Session,
  privacy: Session,
  wish: RoundTripWish,
  done: (step: string) => void,
): Promise<void> {
  const { tenant: tenantId, name, erasureId, publicKey } = wish;
  const body = `Nobody wrote this: ${name}`;
  await append(tickets.as({ tenantId, roles: ['writer'] }), wish, body);
  done('a ticket is appended');
  const reader = tickets.as({ tenantId, roles: ['reader'] });
  if (!(await textOf(reader, name)).includes(body)) throw failed('The transcript lacks its text.');
  done('its transcript is read');
  const officer = privacy.as({ tenantId, roles: ['privacy-officer'] });
  await officer.unary(PrivacyServiceService.requestErasure, {
    person: { $case: 'personId', value: name },
    ground: ErasureGround.ERASURE_GROUND_CONSENT_WITHDRAWN,
    confirmedPersonTokens: [],
    erasureId,
    dryRun: false,
  });
  done(`the erasure of its requester is requested: ${erasureId}`);
  await completed(privacy, officer, erasureId, done);
  if ((await textOf(reader, name)).includes(body)) throw failed('The erased text can be read.');
  done('nothing of it can be read any more');
  const { certificateJws } = await officer.unary(PrivacyServiceService.getCertificate, {
    erasureId,
  });
  const { isValid, checks, certificate } = await verifyCertificate(certificateJws, publicKey);
  if (!isValid) throw failed(`The certificate does not hold: ${JSON.stringify(checks)}`);
  if (certificate?.erasureId !== erasureId) throw failed('The certificate is of another erasure.');
  done('the certificate holds');
}

async function append(writer: Caller, { name, nowMs }: RoundTripWish, body: string): Promise<void> {
  const opened = TicketOpened.fromPartial({
    facts: { channel: Channel.CHANNEL_EMAIL, priority: Priority.PRIORITY_NORMAL },
    content: { subject: 'A check of the deployment', body },
    requester: { kind: PersonKind.PERSON_KIND_REQUESTER, naturalId: name, name: 'Nobody' },
  });
  const event = NewTicketEvent.fromPartial({
    id: { $case: 'sourceId', value: name },
    ticketId: name,
    occurredAt: new Date(nowMs),
    event: { event: { $case: 'ticketOpened', value: opened } },
  });
  const { results } = await writer.unary(TicketServiceService.appendTicketEvents, {
    events: [event],
  });
  const outcome = results[0]?.outcome ?? AppendOutcome.APPEND_OUTCOME_UNSPECIFIED;
  if (outcome !== AppendOutcome.APPEND_OUTCOME_ACCEPTED) {
    throw failed(`The event was answered ${appendOutcomeToJSON(outcome)}.`);
  }
}

/** All that can be read of the ticket; nothing once it is erased. */
async function textOf(reader: Caller, ticketId: string): Promise<string> {
  const ticket = { $case: 'ticketId', value: ticketId } as const;
  try {
    const { entries } = await reader.unary(TicketServiceService.getTranscript, { ticket });
    return JSON.stringify(entries.map(({ event }) => event));
  } catch (error) {
    if (error instanceof CallError && error.details.reason === 'TICKET_ERASED') return '';
    throw error;
  }
}

async function completed(
  session: Session,
  officer: Caller,
  erasureId: string,
  done: (step: string) => void,
): Promise<void> {
  const said = new Set<string>();
  const once = (step: string): void => {
    if (!said.has(step)) done(step);
    said.add(step);
  };
  for await (const erasure of watchErasure(officer, erasureId, session.means)) {
    if (erasure.unreadableAt !== undefined) once('it is unreadable');
    if (erasure.purgedAt !== undefined) once('it is purged');
  }
}

function failed(what: string): CliError {
  return new CliError(exitCodes.failed, what);
}
