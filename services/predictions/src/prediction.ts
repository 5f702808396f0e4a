import type { PredictionEvent } from '@lethe/proto/gen/lethe/predictions/v1/events.ts';
import type { PredictionMadeFacts } from '@lethe/proto/gen/lethe/predictions/v1/facts.ts';
import type { TicketDimensionFacts } from '@lethe/proto/gen/lethe/tickets/v1/facts.ts';

/** One of the prediction events, as the contract's union says it. */
export type AnyPredictionEvent = NonNullable<PredictionEvent['event']>;

/** What predictions decide on: their own events, and what tickets.v1 says of a ticket. */
export type PredictionCommand =
  AnyPredictionEvent | { readonly $case: 'ticketDimensions'; readonly value: TicketDimensionFacts };

/** What later events repeat of a prediction. */
export type RememberedPrediction = Pick<
  PredictionMadeFacts,
  'target' | 'model' | 'modelVersion' | 'scorePpm' | 'decision' | 'horizonH'
> & { readonly eventId: string };

/** What is known of a ticket here. */
export interface PredictionState {
  /** From tickets.v1; undefined until TicketOpened has been read there. */
  readonly dimensions?: TicketDimensionFacts | undefined;
  /** The newest last, at most `rememberedMax`. */
  readonly predictions: readonly RememberedPrediction[];
}

/** A ticket that is scored every hour for months must not grow a state of months. */
const rememberedMax = 64;

export const initialPredictionState: PredictionState = { predictions: [] };

/** An event about a ticket's predictions that wants to happen. */
export interface PredictionWish {
  readonly event: AnyPredictionEvent;
  readonly eventId: string;
  /** The prediction that an event other than PredictionMade is about. */
  readonly causationId: string | undefined;
}

/** The event as it happens, and the state after it. */
export interface PredictionDecision {
  readonly event: AnyPredictionEvent;
  readonly state: PredictionState;
}

/**
 * Pure. Stamps the ticket's dimensions, and into an event about a prediction what that prediction said, so that
 * quality is counted without looking back. A prediction that is not remembered leaves the caller's word.
 */
export function decide(state: PredictionState, wish: PredictionWish): PredictionDecision {
  const { event } = wish;
  const { dimensions } = state;
  if (event.$case === 'predictionMade') {
    return { event: withFacts(event, { dimensions }), state: evolve(state, wish) };
  }
  const about = state.predictions.find((one) => one.eventId === wish.causationId);
  return { event: withFacts(withWhatWasSaid(event, about), { dimensions }), state };
}

/** The state after an event that happened: folding a ticket's events remembers what `decide` did. Pure. */
export function evolve(
  state: PredictionState,
  { event, eventId }: Pick<PredictionWish, 'event' | 'eventId'>,
): PredictionState {
  const facts = event.$case === 'predictionMade' ? event.value.facts : undefined;
  return facts === undefined ? state : remember(state, eventId, facts);
}

function remember(
  state: PredictionState,
  eventId: string,
  facts: PredictionMadeFacts,
): PredictionState {
  const { target, model, modelVersion, scorePpm, decision, horizonH } = facts;
  const made = { eventId, target, model, modelVersion, scorePpm, decision, horizonH };
  return { ...state, predictions: [...state.predictions, made].slice(-rememberedMax) };
}

function withWhatWasSaid(
  event: AnyPredictionEvent,
  about: RememberedPrediction | undefined,
): AnyPredictionEvent {
  if (about === undefined) return event;
  const { target, model, modelVersion, scorePpm, decision, horizonH } = about;
  const said = { target, model, modelVersion, scorePpm };
  return event.$case === 'predictionExpired'
    ? withFacts(event, { ...said, decision, horizonH })
    : withFacts(event, said);
}

function withFacts<Event extends AnyPredictionEvent>(
  event: Event,
  facts: Partial<NonNullable<Event['value']['facts']>>,
): Event {
  return { ...event, value: { ...event.value, facts: { ...event.value.facts, ...facts } } };
}
