import { AppendOutcome, type AppendResult } from '@lethe/proto/gen/lethe/log/v1/append.ts';
import type { Reason } from '@lethe/proto/reasons.ts';
import type { FieldViolation } from '../errors/service-error.ts';
import type { EventId } from '../ids/ids.ts';
import type { AppendAnswer } from './family.ts';

const outcomes = {
  accepted: AppendOutcome.APPEND_OUTCOME_ACCEPTED,
  duplicate: AppendOutcome.APPEND_OUTCOME_DUPLICATE,
  conflict: AppendOutcome.APPEND_OUTCOME_CONFLICT,
  erased: AppendOutcome.APPEND_OUTCOME_ERASED,
  unknown_ticket: AppendOutcome.APPEND_OUTCOME_UNKNOWN_TICKET,
  invalid: AppendOutcome.APPEND_OUTCOME_INVALID,
} as const satisfies Record<AppendAnswer['outcome'], AppendOutcome>;

/** The answer to an item on the wire. */
export function appendResult(eventId: EventId, answer: AppendAnswer): AppendResult {
  return {
    outcome: outcomes[answer.outcome],
    eventId,
    position: 'position' in answer ? BigInt(answer.position) : 0n,
    violations: 'violations' in answer ? [...answer.violations] : [],
    reason: reasonOf(answer),
  };
}

/** The answer to an event that did not parse. */
export function invalidResult(violations: readonly FieldViolation[]): AppendResult {
  return {
    outcome: AppendOutcome.APPEND_OUTCOME_INVALID,
    eventId: '',
    position: 0n,
    violations: [...violations],
    reason: 'INVALID_FIELDS' satisfies Reason,
  };
}

function reasonOf(answer: AppendAnswer): Reason | '' {
  switch (answer.outcome) {
    case 'accepted':
    case 'duplicate':
      return '';
    case 'conflict':
      return 'EVENT_CONFLICT';
    case 'erased':
      return 'SCOPE_ERASED';
    case 'unknown_ticket':
      return 'TICKET_UNKNOWN';
    case 'invalid':
      return answer.reason;
  }
}
