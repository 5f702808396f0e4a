import { AuthorKind, EscalationReason } from '@lethe/proto/gen/lethe/tickets/v1/event_enums.ts';
import { Priority, TicketStatus } from '@lethe/proto/gen/lethe/tickets/v1/enums.ts';
import { writeNote } from './texts.ts';
import { say, type Plot } from './ticket-plot.ts';

const { AUTHOR_KIND_AGENT } = AuthorKind;

/** What makes some tickets long: notes, hand-overs, third parties, escalations. */
export function complicate(plot: Plot): void {
  const { writer, random } = plot;
  if (random.chance(0.25)) {
    writer.waitForAgent(20, 0.8);
    say(plot, AUTHOR_KIND_AGENT, writer.agent, writeNote(random, writer.cast.requester), false);
  }
  if (random.chance(0.12)) writer.assign(random.pick(writer.cast.agents), AUTHOR_KIND_AGENT);
  if (random.chance(0.09)) {
    writer.changeStatus(TicketStatus.TICKET_STATUS_HOLD, AUTHOR_KIND_AGENT);
    writer.waitForAgent(900, 0.7);
    writer.changeStatus(TicketStatus.TICKET_STATUS_OPEN, AUTHOR_KIND_AGENT);
  }
  if (!plot.isEscalated && random.chance(plot.isBreached ? 0.2 : 0.06)) escalate(plot);
  if (random.chance(0.05)) {
    const { category } = plot;
    writer.add({
      $case: 'categoryChanged',
      value: {
        facts: {
          category: random.pickWeighted(writer.cast.tenant.categories),
          previousCategory: category,
          authorKind: AUTHOR_KIND_AGENT,
        },
        agent: writer.agent.profile,
      },
    });
  }
  if (random.chance(0.04)) annotate(plot);
}

function escalate(plot: Plot): void {
  const { writer, random } = plot;
  plot.isEscalated = true;
  const escalationReason = random.pick([
    EscalationReason.ESCALATION_REASON_REQUESTER_ASKED,
    EscalationReason.ESCALATION_REASON_SLA,
    EscalationReason.ESCALATION_REASON_SKILL,
    EscalationReason.ESCALATION_REASON_SENTIMENT,
  ]);
  writer.add({
    $case: 'escalated',
    value: {
      facts: { escalationReason, escalationLevel: 1, authorKind: AUTHOR_KIND_AGENT },
      content: { note: writeNote(random, writer.cast.requester) },
      agent: writer.agent.profile,
    },
  });
  raisePriority(plot);
}

export function raisePriority({ writer }: Plot): void {
  const { PRIORITY_URGENT, PRIORITY_HIGH } = Priority;
  writer.changePriority(writer.priority === PRIORITY_HIGH ? PRIORITY_URGENT : PRIORITY_HIGH);
}

function annotate({ writer, random }: Plot): void {
  writer.add({
    $case: 'annotationAdded',
    value: {
      facts: { authorKind: AUTHOR_KIND_AGENT },
      content: { text: `Training label: ${writeNote(random, writer.cast.requester)}` },
      agent: writer.agent.profile,
    },
  });
}
