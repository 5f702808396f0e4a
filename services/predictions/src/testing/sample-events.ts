import { Decision, Model, PredictionTarget } from '@lethe/proto/gen/lethe/predictions/v1/enums.ts';
import { PredictionMade } from '@lethe/proto/gen/lethe/predictions/v1/events.ts';
import type { NewPredictionEvent } from '@lethe/proto/gen/lethe/predictions/v1/service.ts';
import type { AnyPredictionEvent } from '../prediction.ts';

/** 2026-03-02T09:00:00Z, a Monday. */
export const openedAtMs = Date.UTC(2026, 2, 2, 9);

/** An escalation within 24 hours, threshold one half. */
export function predictionMade(scorePpm = 600_000): AnyPredictionEvent {
  const value = PredictionMade.fromPartial({
    facts: {
      target: PredictionTarget.PREDICTION_TARGET_ESCALATION,
      model: Model.MODEL_ESCALATION_TREES,
      modelVersion: 3,
      scorePpm,
      thresholdPpm: 500_000,
      decision: scorePpm >= 500_000 ? Decision.DECISION_POSITIVE : Decision.DECISION_NEGATIVE,
      horizonH: 24,
    },
    content: { explanation: 'many exchanges' },
  });
  return { $case: 'predictionMade', value };
}

/** A request for an event of ticket `ticketId`, `minutes` after `openedAtMs`. */
export function newEvent(
  ticketId: string,
  sourceId: string,
  minutes: number,
  event: AnyPredictionEvent,
  causationId = '',
): NewPredictionEvent {
  return {
    id: { $case: 'sourceId', value: sourceId },
    ticketId,
    occurredAt: new Date(openedAtMs + minutes * 60_000),
    causationId,
    event: { event },
  };
}
