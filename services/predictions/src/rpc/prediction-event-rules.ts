import type { EventRules } from '@lethe/platform/event-store/event-rules.ts';
import { between, optional, required } from '@lethe/platform/event-store/field-rules.ts';
import {
  Decision,
  Intervention,
  Model,
  PredictionTarget,
  SupersededReason,
  TopFactor,
} from '@lethe/proto/gen/lethe/predictions/v1/enums.ts';
import { Category } from '@lethe/proto/gen/lethe/tickets/v1/enums.ts';
import { SentimentLabel } from '@lethe/proto/gen/lethe/tickets/v1/event_enums.ts';
import type { AnyPredictionEvent } from '../prediction.ts';

const partsPerMillion = between(0, 1_000_000);

const about = {
  target: required(PredictionTarget),
  model: required(Model),
  scorePpm: partsPerMillion,
};

/** What callers' prediction events must keep. */
export const predictionEventRules: EventRules<AnyPredictionEvent> = {
  predictionMade: {
    facts: {
      ...about,
      modelVersion: between(1, 2 ** 31),
      thresholdPpm: partsPerMillion,
      decision: required(Decision),
      topFactors: required(TopFactor),
      predictedCategory: optional(Category),
      predictedSentiment: optional(SentimentLabel),
    },
    required: [],
  },
  predictionSuperseded: {
    facts: { ...about, reason: optional(SupersededReason) },
    required: [],
  },
  predictionActedOn: {
    facts: { ...about, intervention: optional(Intervention) },
    required: [],
  },
  outcomeObserved: { refused: 'is made by the predictions service alone' },
  predictionExpired: { facts: { ...about, decision: optional(Decision) }, required: [] },
};
