import {
  Decision,
  Intervention,
  Model,
  PredictionTarget,
  SupersededReason,
  TopFactor,
} from '@lethe/proto/gen/lethe/predictions/v1/enums.ts';
import { PredictionEvent, type DeepPartial } from '@lethe/proto/gen/lethe/predictions/v1/events.ts';
import { NewPredictionEvent } from '@lethe/proto/gen/lethe/predictions/v1/service.ts';
import { uuidV7Of } from './events.ts';
import type { SeededRandom } from './random.ts';
import { writeExplanation } from './texts.ts';
import type { TicketStory } from './ticket-story.ts';
import { hourMs, minuteMs } from './working-time.ts';

/** One model's view of one kind of outcome. */
interface Scorer {
  readonly target: PredictionTarget;
  readonly model: Model;
  readonly modelVersion: number;
  readonly thresholdPpm: number;
  readonly horizonH: number;
  /** How often it scores a ticket at all. */
  readonly coverage: number;
  readonly willHappen: (story: TicketStory) => boolean;
}

const scorers: readonly Scorer[] = [
  {
    target: PredictionTarget.PREDICTION_TARGET_ESCALATION,
    model: Model.MODEL_ESCALATION_TREES,
    modelVersion: 7,
    thresholdPpm: 350_000,
    horizonH: 72,
    coverage: 0.75,
    willHappen: (story) => story.isEscalated,
  },
  {
    target: PredictionTarget.PREDICTION_TARGET_SLA_BREACH,
    model: Model.MODEL_SLA_SURVIVAL,
    modelVersion: 3,
    thresholdPpm: 400_000,
    horizonH: 48,
    coverage: 0.5,
    willHappen: (story) => story.isBreached,
  },
  {
    target: PredictionTarget.PREDICTION_TARGET_CSAT_LOW,
    model: Model.MODEL_CSAT_TREES,
    modelVersion: 4,
    thresholdPpm: 300_000,
    horizonH: 240,
    coverage: 0.35,
    willHappen: (story) => story.csat === 1 || story.csat === 2,
  },
];

const factors = Object.values(TopFactor).filter((factor) => factor > 0);

type EventCase = NonNullable<DeepPartial<PredictionEvent>['event']>;

/** What the models say about one ticket: better than chance, far from perfect, as models are. */
export function predictAbout(
  random: SeededRandom,
  story: TicketStory,
  endMs: number,
): NewPredictionEvent[] {
  const events: NewPredictionEvent[] = [];
  for (const scorer of scorers) {
    if (random.chance(scorer.coverage)) events.push(...scoreTicket(random, story, scorer));
  }
  return events
    .filter((event) => momentOf(event) < endMs)
    .toSorted((left, right) => momentOf(left) - momentOf(right));
}

function scoreTicket(
  random: SeededRandom,
  story: TicketStory,
  scorer: Scorer,
): NewPredictionEvent[] {
  const { cast, openedAtMs } = story;
  const label = `${cast.label}/${cast.ticketId}/${scorer.target}`;
  const send = (part: string, atMs: number, event: EventCase, causationId = '') =>
    NewPredictionEvent.fromPartial({
      id: { $case: 'eventId', value: uuidV7Of(`${label}/${part}`, atMs) },
      ticketId: cast.ticketId,
      occurredAt: new Date(atMs),
      causationId,
      event: PredictionEvent.fromPartial({ event }),
    });
  const firstAtMs = openedAtMs + random.integer(1, 20) * minuteMs;
  const first = madeFacts(random, story, scorer);
  const made = send('made', firstAtMs, madeEvent(random, story, first));
  const madeId = made.id?.value ?? '';
  const events = [made];
  if (random.chance(0.12)) {
    const rescoredAtMs = firstAtMs + random.integer(2, 20) * hourMs;
    const facts = { ...repeated(first), reason: SupersededReason.SUPERSEDED_REASON_RESCORED };
    events.push(
      send('superseded', rescoredAtMs, { $case: 'predictionSuperseded', value: { facts } }, madeId),
    );
    events.push(
      send('rescored', rescoredAtMs, madeEvent(random, story, madeFacts(random, story, scorer))),
    );
  } else if (first.decision === Decision.DECISION_POSITIVE && random.chance(0.4)) {
    const actedAtMs = firstAtMs + random.integer(10, 300) * minuteMs;
    events.push(send('acted-on', actedAtMs, actedOnEvent(random, story, first), madeId));
  }
  return events;
}

type MadeFacts = ReturnType<typeof madeFacts>;

function madeFacts(random: SeededRandom, story: TicketStory, scorer: Scorer) {
  const centre = scorer.willHappen(story) ? 0.56 : 0.17;
  const noise = (random.fraction() + random.fraction() + random.fraction() - 1.5) * 0.32;
  const scorePpm = Math.round(Math.min(0.999, Math.max(0.001, centre + noise)) * 1_000_000);
  const isPositive = scorePpm >= scorer.thresholdPpm;
  return {
    target: scorer.target,
    model: scorer.model,
    modelVersion: scorer.modelVersion,
    scorePpm,
    thresholdPpm: scorer.thresholdPpm,
    decision: isPositive ? Decision.DECISION_POSITIVE : Decision.DECISION_NEGATIVE,
    rankInQueue: random.integer(1, 60),
    capacityK: 10,
    horizonH: scorer.horizonH,
    topFactors: [random.pick(factors), random.pick(factors)],
  };
}

function madeEvent(random: SeededRandom, story: TicketStory, facts: MadeFacts): EventCase {
  const explanation = random.chance(0.5) ? writeExplanation(random, story.cast.requester) : '';
  return { $case: 'predictionMade', value: { facts, content: { explanation } } };
}

function actedOnEvent(random: SeededRandom, story: TicketStory, facts: MadeFacts): EventCase {
  const intervention = random.pick([
    Intervention.INTERVENTION_ACKNOWLEDGED,
    Intervention.INTERVENTION_CONTACTED,
    Intervention.INTERVENTION_REASSIGNED,
    Intervention.INTERVENTION_DISMISSED,
  ]);
  return {
    $case: 'predictionActedOn',
    value: {
      facts: { ...repeated(facts), intervention },
      content: { annotation: `Spoke with ${story.cast.requester.name} about it.` },
      agent: random.pick(story.cast.agents).profile,
    },
  };
}

function repeated(facts: MadeFacts) {
  const { target, model, modelVersion, scorePpm } = facts;
  return { target, model, modelVersion, scorePpm };
}

function momentOf(event: NewPredictionEvent): number {
  return event.occurredAt?.getTime() ?? 0;
}
