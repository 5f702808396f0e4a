import { AuthorKind, SentimentLabel } from '@lethe/proto/gen/lethe/tickets/v1/event_enums.ts';
import { Consent, type Category, type Channel } from '@lethe/proto/gen/lethe/tickets/v1/enums.ts';
import type { GeneratedPerson } from './people.ts';
import type { SeededRandom } from './random.ts';
import { writeReply } from './texts.ts';
import type { TicketWriter } from './ticket-writer.ts';

/** How far along its life a ticket is; the parts of the story pass it on. */
export interface Plot {
  readonly writer: TicketWriter;
  readonly random: SeededRandom;
  readonly channel: Channel;
  readonly category: Category;
  readonly hasSla: boolean;
  isEscalated: boolean;
  isBreached: boolean;
  csat: number;
}

/** A public reply by whoever has the ticket now. */
export function replyByAgent(plot: Plot, isSolution: boolean): void {
  const { writer, random } = plot;
  writer.replies += 1;
  say(
    plot,
    AuthorKind.AUTHOR_KIND_AGENT,
    writer.agent,
    writeReply(random, writer.cast.requester, writer.agent, isSolution),
  );
}

/** Answers the message's event id, so that a sentiment score can name it. */
export function say(
  { writer }: Plot,
  authorKind: AuthorKind,
  author: GeneratedPerson | undefined,
  body: string,
  isPublic = true,
): string {
  const facts = { isPublic, authorKind, consent: Consent.CONSENT_UNSPECIFIED };
  return writer.add(
    { $case: 'messageAdded', value: { facts, content: { body }, author: author?.profile } },
    { hasOwnId: true },
  );
}

/** A model scores the last words of the requester; `messageId` says which message they are. */
export function scoreSentiment(
  { writer, random, isBreached }: Plot,
  messageId: string | undefined,
): void {
  const mean = isBreached ? 36 : 57;
  const sentiment = Math.max(
    0,
    Math.min(100, Math.round(mean + 20 * (random.fraction() + random.fraction() - 1) * 1.6)),
  );
  const { SENTIMENT_LABEL_NEGATIVE, SENTIMENT_LABEL_NEUTRAL, SENTIMENT_LABEL_POSITIVE } =
    SentimentLabel;
  const sentimentLabel =
    sentiment < 40
      ? SENTIMENT_LABEL_NEGATIVE
      : sentiment > 60
        ? SENTIMENT_LABEL_POSITIVE
        : SENTIMENT_LABEL_NEUTRAL;
  writer.add(
    {
      $case: 'sentimentScored',
      value: { facts: { sentiment, sentimentLabel, authorKind: AuthorKind.AUTHOR_KIND_REQUESTER } },
    },
    messageId === undefined ? {} : { causationId: messageId },
  );
}
