import { isToken, type TenantId, type Token } from '../ids/ids.ts';
import type { KeyClient } from '../key-client/port.ts';
import { createProblems, invalidFields } from '../grpc/parse-request.ts';
import { checkSourceText } from './parse-event.ts';

/** How callers name a ticket. */
export type TicketRef =
  | { readonly $case: 'ticketId'; readonly value: string }
  | { readonly $case: 'ticketToken'; readonly value: string };

/** The token of a ticket that a caller names by its natural id or by the token. Throws INVALID_FIELDS. */
export async function parseTicketRef(
  keys: Pick<KeyClient, 'tokens'>,
  tenantId: TenantId,
  ref: TicketRef | undefined,
): Promise<Token> {
  const problems = createProblems();
  if (ref === undefined) problems.add('ticket', 'give either ticket_id or ticket_token');
  else if (ref.$case === 'ticketId') checkSourceText(ref.value, 'ticket_id', problems);
  else if (isToken(ref.value)) return ref.value;
  else problems.add('ticket_token', 'must have 32 lower-case hex digits');
  if (ref === undefined || problems.found.length > 0) {
    throw invalidFields(problems.found);
  }
  return (await keys.tokens(tenantId)).ticket(ref.value);
}
