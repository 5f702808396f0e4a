import assert from 'node:assert/strict';
import {
  PredictionActedOn,
  PredictionExpired,
} from '@lethe/proto/gen/lethe/predictions/v1/events.ts';
import { Decision, Model, PredictionTarget } from '@lethe/proto/gen/lethe/predictions/v1/enums.ts';
import { Channel } from '@lethe/proto/gen/lethe/tickets/v1/enums.ts';
import { TicketDimensionFacts } from '@lethe/proto/gen/lethe/tickets/v1/facts.ts';
import {
  type AnyPredictionEvent,
  decide,
  initialPredictionState,
  type PredictionState,
} from './prediction.ts';
import { predictionMade } from './testing/sample-events.ts';

const dimensions = TicketDimensionFacts.fromPartial({ channel: Channel.CHANNEL_CHAT });

function after(events: readonly AnyPredictionEvent[]): PredictionState {
  return events.reduce<PredictionState>(
    (state, event, index) =>
      decide(state, { event, eventId: `e${index}`, causationId: undefined }).state,
    { ...initialPredictionState, dimensions },
  );
}

const actedOn: AnyPredictionEvent = {
  $case: 'predictionActedOn',
  value: PredictionActedOn.fromPartial({ facts: { scorePpm: 1 } }),
};

describe('predictions decide', () => {
  it("the ticket's dimensions into every event", () => {
    const { event } = decide(after([]), {
      event: predictionMade(),
      eventId: 'e',
      causationId: undefined,
    });
    assert.equal(event.value.facts?.dimensions?.channel, Channel.CHANNEL_CHAT);
  });

  it('what a prediction said into the events about it', () => {
    const wish = { event: actedOn, eventId: 'e9', causationId: 'e1' };
    const { event } = decide(after([predictionMade(100), predictionMade(900_000)]), wish);
    assert.equal(event.value.facts?.scorePpm, 900_000);
    assert.equal(event.value.facts.target, PredictionTarget.PREDICTION_TARGET_ESCALATION);
    assert.equal(event.value.facts.model, Model.MODEL_ESCALATION_TREES);
  });

  it('decision and horizon into an expiry', () => {
    const expired: AnyPredictionEvent = {
      $case: 'predictionExpired',
      value: PredictionExpired.fromPartial({ facts: {} }),
    };
    const wish = { event: expired, eventId: 'e9', causationId: 'e0' };
    const { event } = decide(after([predictionMade(900_000)]), wish);
    assert(event.$case === 'predictionExpired');
    assert.equal(event.value.facts?.decision, Decision.DECISION_POSITIVE);
    assert.equal(event.value.facts.horizonH, 24);
  });

  it("the caller's word about a prediction that is not remembered", () => {
    const wish = { event: actedOn, eventId: 'e9', causationId: 'unknown' };
    assert.equal(decide(after([predictionMade()]), wish).event.value.facts?.scorePpm, 1);
  });

  it('to remember the newest predictions alone', () => {
    const state = after(Array.from({ length: 100 }, () => predictionMade()));
    assert.equal(state.predictions.length, 64);
    assert.equal(state.predictions.at(-1)?.eventId, 'e99');
  });
});
