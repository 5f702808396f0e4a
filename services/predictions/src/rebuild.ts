import type { RebuildRules } from '@lethe/platform/rebuild/rules.ts';
import { familyBytesOf } from '@lethe/platform/sealing/event.ts';
import { PredictionEvent } from '@lethe/proto/gen/lethe/predictions/v1/events.ts';
import { changingTypes, dimensionsOf } from './consumer.ts';
import { decide, initialPredictionState, type PredictionState } from './prediction.ts';

/**
 * How a ticket's predictions follow from their records, and its dimensions from what was consumed of tickets.v1.
 * Deciding on a stamped event remembers what deciding on the wish remembered.
 */
export const predictionRebuildRules: RebuildRules<PredictionState> = {
  contentTypes: new Set(),
  fold: (state, { shape, eventBytes, eventId }) => {
    const { event } = PredictionEvent.decode(familyBytesOf(shape, eventBytes));
    if (event === undefined) throw new RangeError(`event ${eventId} is of no known type`);
    // Only PredictionMade is remembered, and it is about no other event.
    return decide(state ?? initialPredictionState, { event, eventId, causationId: undefined })
      .state;
  },
  observed: {
    topic: 'tickets.v1',
    types: changingTypes,
    fold: (state, record) => ({
      ...(state ?? initialPredictionState),
      dimensions: dimensionsOf(record),
    }),
  },
};
