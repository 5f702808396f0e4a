import { AppendOutcome } from '@lethe/proto/gen/lethe/log/v1/append.ts';
import { occurredAtMsOf } from '../world/commands.ts';
import type { Told } from '../world/client.ts';
import type { Evidence } from './evidence.ts';
import { must } from './law-broken.ts';
import type { ObservedRecord } from './observed.ts';

const kept = 'nothing that was acknowledged is lost';
const honest = 'answers tell duplicates from conflicts';

type Answer = Told['answers'][number];

const { APPEND_OUTCOME_ACCEPTED: accepted, APPEND_OUTCOME_DUPLICATE: duplicate } = AppendOutcome;
const { APPEND_OUTCOME_CONFLICT: conflict } = AppendOutcome;

/** Every answer to a client against what lies on the log. */
export function checkAnswers({ observed, told }: Evidence): void {
  const byId = new Map(
    observed.records.flatMap((record): [string, ObservedRecord][] =>
      record.topic === 'tickets.v1'
        ? [[`${record.header.tenantId} ${record.eventId}`, record]]
        : [],
    ),
  );
  const groups = Map.groupBy(
    told.answers.filter(({ result }) => result.eventId !== ''),
    ({ tenant, result }) => `${tenant} ${result.eventId}`,
  );
  for (const [id, answers] of groups) checkEvent(id, answers, byId.get(id));
  for (const { wished, result } of told.answers) {
    const isInvalid = result.outcome === AppendOutcome.APPEND_OUTCOME_INVALID;
    // A ticket's second opening is a rule of tickets; nothing else that a client sends is invalid.
    must(!isInvalid || wished.kind === 'opened', honest, () => `${wished.source} is invalid`);
  }
}

function checkEvent(
  id: string,
  answers: readonly Answer[],
  record: ObservedRecord | undefined,
): void {
  const acceptances = answers.filter(({ result }) => result.outcome === accepted);
  must(acceptances.length <= 1, honest, () => `${id} was accepted ${acceptances.length} times`);
  for (const { wished, result } of answers) {
    const { outcome, position } = result;
    const isStored = outcome === accepted || outcome === duplicate;
    const at = `${wished.source} (${id})`;
    if (!isStored && outcome !== conflict) continue;
    must(
      record !== undefined,
      kept,
      () => `${at} was answered ${outcome} and never reached the log`,
    );
    const isSame = Number(record?.header.occurredAtMs) === occurredAtMsOf(wished);
    must(isSame === isStored, honest, () => `${at} was answered ${outcome}`);
    if (!isStored) continue;
    must(record?.header.position === position, kept, () => {
      return `${at} was told position ${position} and has ${record?.header.position}`;
    });
  }
}
