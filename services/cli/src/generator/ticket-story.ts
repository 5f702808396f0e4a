import { AuthorKind } from '@lethe/proto/gen/lethe/tickets/v1/event_enums.ts';
import { Channel, TicketStatus } from '@lethe/proto/gen/lethe/tickets/v1/enums.ts';
import type { NewTicketEvent } from '@lethe/proto/gen/lethe/tickets/v1/service.ts';
import type { SeededRandom } from './random.ts';
import { writeBotText, writeFollowUp } from './texts.ts';
import { openTicket } from './ticket-opening.ts';
import { replyByAgent, say, scoreSentiment, type Plot } from './ticket-plot.ts';
import { complicate, raisePriority } from './ticket-troubles.ts';
import { firstReplyTargetMin, TicketWriter, type TicketCast } from './ticket-writer.ts';
import { dayMs, minuteMs } from './working-time.ts';
import { groupNames, tagWords } from './words.ts';

/** What became of a ticket, and its events in the order of time. */
export interface TicketStory {
  readonly cast: TicketCast;
  readonly events: readonly NewTicketEvent[];
  readonly openedAtMs: number;
  readonly isEscalated: boolean;
  readonly isBreached: boolean;
  /** 0: none was given. */
  readonly csat: number;
}

const {
  AUTHOR_KIND_AGENT,
  AUTHOR_KIND_AUTOMATION,
  AUTHOR_KIND_BOT,
  AUTHOR_KIND_REQUESTER,
  AUTHOR_KIND_SYSTEM,
} = AuthorKind;
const { TICKET_STATUS_OPEN, TICKET_STATUS_PENDING, TICKET_STATUS_SOLVED, TICKET_STATUS_CLOSED } =
  TicketStatus;

/** Tells one ticket from its opening to wherever it stands at `endMs`. */
export function tellTicketStory(
  random: SeededRandom,
  cast: TicketCast,
  openedAtMs: number,
  endMs: number,
): TicketStory {
  const writer = new TicketWriter(cast, random, openedAtMs);
  const plot: Plot = {
    writer,
    random,
    channel: random.pickWeighted(cast.tenant.channels),
    category: random.pickWeighted(cast.tenant.categories),
    hasSla: random.chance(0.8),
    isEscalated: false,
    isBreached: false,
    csat: 0,
  };
  openTicket(plot);
  triage(plot);
  firstReply(plot, openedAtMs);
  converse(plot);
  solve(plot);
  if (random.chance(0.07)) reopen(plot);
  close(plot);
  // The present ends the story in the middle, as in any real help desk.
  const events = writer.events.filter((event) => (event.occurredAt?.getTime() ?? 0) < endMs);
  const { isEscalated, isBreached, csat } = plot;
  return { cast, events, openedAtMs, isEscalated, isBreached, csat };
}

function triage(plot: Plot): void {
  const { writer, random, channel } = plot;
  const isConversation = channel === Channel.CHANNEL_CHAT || channel === Channel.CHANNEL_MESSAGING;
  if (isConversation && random.chance(0.6)) {
    writer.nowMs += random.integer(800, 4000);
    say(plot, AUTHOR_KIND_BOT, undefined, writeBotText(random, writer.cast.requester));
  }
  writer.waitForAgent(isConversation ? 3 : 25, 1);
  if (random.chance(0.35)) {
    writer.add({
      $case: 'groupChanged',
      value: {
        facts: { groupStations: 1, authorKind: AUTHOR_KIND_AUTOMATION },
        content: { group: random.pick(groupNames) },
      },
    });
  }
  writer.assign(writer.agent, AUTHOR_KIND_AUTOMATION);
  if (random.chance(0.3)) {
    const tags = [random.pick(tagWords), random.pick(tagWords)];
    writer.add({
      $case: 'tagged',
      value: { facts: { authorKind: AUTHOR_KIND_AUTOMATION }, content: { tags } },
    });
  }
  if (random.chance(0.07)) raisePriority(plot);
}

function firstReply(plot: Plot, openedAtMs: number): void {
  const { writer, channel } = plot;
  const isConversation = channel === Channel.CHANNEL_CHAT || channel === Channel.CHANNEL_MESSAGING;
  const targetPriority = writer.priority;
  writer.waitForAgent(isConversation ? 9 : firstReplyTargetMin[writer.priority] * 0.3, 1.1);
  writer.changeStatus(TICKET_STATUS_OPEN, AUTHOR_KIND_AGENT);
  replyByAgent(plot, false);
  if (plot.hasSla) plot.isBreached = writer.settleFirstReply(openedAtMs, targetPriority);
}

function converse(plot: Plot): void {
  const { writer, random } = plot;
  const rounds = random.pickWeighted([
    [0, 34],
    [1, 34],
    [2, 19],
    [3, 9],
    [5, 4],
  ]);
  for (let round = 0; round < rounds; round += 1) {
    writer.changeStatus(TICKET_STATUS_PENDING, AUTHOR_KIND_AGENT);
    writer.waitForRequester(180, 1.2);
    const messageId = say(
      plot,
      AUTHOR_KIND_REQUESTER,
      writer.cast.requester,
      writeFollowUp(random, writer.cast.requester),
    );
    if (random.chance(0.5)) scoreSentiment(plot, messageId);
    writer.changeStatus(TICKET_STATUS_OPEN, AUTHOR_KIND_SYSTEM);
    complicate(plot);
    writer.waitForAgent(90, 1.1);
    replyByAgent(plot, false);
  }
}

function solve(plot: Plot): void {
  const { writer, random } = plot;
  writer.waitForAgent(120, 1.2);
  replyByAgent(plot, true);
  writer.changeStatus(TICKET_STATUS_SOLVED, AUTHOR_KIND_AGENT, 'Solved by reply');
  if (plot.csat === 0 && random.chance(0.5)) askForSatisfaction(plot);
}

function askForSatisfaction(plot: Plot): void {
  const { writer, random } = plot;
  writer.nowMs += 30 * minuteMs;
  writer.add({
    $case: 'csatRequested',
    value: { facts: { channel: plot.channel }, agent: writer.agent.profile },
  });
  if (!random.chance(0.42)) return;
  writer.waitForRequester(400, 1);
  const isUnhappy = plot.isBreached || plot.isEscalated;
  plot.csat = random.pickWeighted(
    isUnhappy
      ? [
          [1, 26],
          [2, 20],
          [3, 20],
          [4, 20],
          [5, 14],
        ]
      : [
          [1, 4],
          [2, 5],
          [3, 12],
          [4, 34],
          [5, 45],
        ],
  );
  writer.add({
    $case: 'csatGiven',
    value: {
      facts: { csat: plot.csat },
      ...(random.chance(0.4)
        ? { content: { comment: writeFollowUp(random, writer.cast.requester) } }
        : {}),
      requester: writer.cast.requester.profile,
      agent: writer.agent.profile,
    },
  });
}

function reopen(plot: Plot): void {
  const { writer, random } = plot;
  writer.waitForRequester(900, 0.8);
  say(
    plot,
    AUTHOR_KIND_REQUESTER,
    writer.cast.requester,
    writeFollowUp(random, writer.cast.requester),
  );
  writer.changeStatus(TICKET_STATUS_OPEN, AUTHOR_KIND_SYSTEM);
  solve(plot);
}

function close({ writer }: Plot): void {
  writer.nowMs += 4 * dayMs;
  writer.changeStatus(TICKET_STATUS_CLOSED, AUTHOR_KIND_AUTOMATION);
}
