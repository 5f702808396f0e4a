import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { EventId } from '@lethe/platform/ids/ids.ts';
import type { OpenedRecord } from '@lethe/platform/event-store/open-records.ts';
import { splitEvent } from '@lethe/platform/sealing/event.ts';
import { joinFields } from '@lethe/platform/sealing/wire.ts';
import { Record as LogRecord } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import {
  PredictionActedOn,
  PredictionExpired,
} from '@lethe/proto/gen/lethe/predictions/v1/events.ts';
import { encodePredictionEvent, predictionStateCodec } from './prediction-events.ts';
import {
  type AnyPredictionEvent,
  decide,
  initialPredictionState,
  type PredictionState,
} from './prediction.ts';
import { predictionRebuildRules } from './rebuild.ts';
import { predictionMade } from './testing/sample-events.ts';

const wished: fc.Arbitrary<AnyPredictionEvent> = fc.oneof(
  fc.integer({ min: 0, max: 1_000_000 }).map((score) => predictionMade(score)),
  fc.constant<AnyPredictionEvent>({
    $case: 'predictionActedOn',
    value: PredictionActedOn.fromPartial({ facts: { scorePpm: 1 } }),
  }),
  fc.constant<AnyPredictionEvent>({
    $case: 'predictionExpired',
    value: PredictionExpired.fromPartial({ facts: {} }),
  }),
);

function openedRecord(event: AnyPredictionEvent, eventId: EventId): OpenedRecord {
  const { shape, eventBytes } = encodePredictionEvent(event);
  const facts = splitEvent(shape, eventBytes).filter(({ kind }) => kind === 'facts');
  const record = LogRecord.fromPartial({});
  return {
    eventId,
    position: 0n,
    occurredAtMs: 0,
    shape,
    eventBytes: joinFields(facts),
    erasedParts: [],
    record,
  };
}

describe("the state of a ticket's predictions", () => {
  it('follows from its records, also when there are more than are remembered', () => {
    fc.assert(
      fc.property(fc.array(wished, { minLength: 1, maxLength: 100 }), (events) => {
        let live: PredictionState = initialPredictionState;
        let folded: PredictionState | undefined;
        for (const [index, event] of events.entries()) {
          const eventId = `e${index}` as EventId;
          const causationId = `e${index - 1}`;
          const decision = decide(live, { event, eventId, causationId });
          live = decision.state;
          folded = predictionRebuildRules.fold(folded, openedRecord(decision.event, eventId));
        }
        assert.ok(folded !== undefined);
        const stored = (state: PredictionState) =>
          predictionStateCodec.decode(predictionStateCodec.encode(state));
        assert.deepEqual(stored(folded), stored(live));
      }),
      { numRuns: 100 },
    );
  });
});
