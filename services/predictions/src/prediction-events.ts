import type { DecidedEvent, EventFamily, StateCodec } from '@lethe/platform/event-store/family.ts';
import { eventBytesOf, familyBytesOf } from '@lethe/platform/sealing/event.ts';
import { PredictionEvent } from '@lethe/proto/gen/lethe/predictions/v1/events.ts';
import {
  type AnyPredictionEvent,
  type PredictionCommand,
  decide,
  evolve,
  initialPredictionState,
  type PredictionState,
} from './prediction.ts';

/** An event with its shape, as the event store takes it. */
export function encodePredictionEvent(event: AnyPredictionEvent): DecidedEvent {
  return eventBytesOf('predictions', PredictionEvent.encode({ event }).finish());
}

interface StoredState {
  readonly version: number;
  readonly state: PredictionState;
}

/** JSON with a version; the box around it is bound to ticket and position. */
export const predictionStateCodec: StateCodec<PredictionState> = {
  name: 'prediction-state',
  encode: (state) => Buffer.from(JSON.stringify({ version: 1, state })),
  decode: (bytes) => {
    const stored = JSON.parse(Buffer.from(bytes).toString()) as StoredState;
    if (stored.version !== 1) throw new RangeError(`prediction state of version ${stored.version}`);
    return stored.state;
  },
};

/** How predictions use the event store: streams are tickets, sealed under keys that only tickets creates. */
export const predictionFamily: EventFamily<PredictionCommand, PredictionState> = {
  service: 'predictions',
  topic: 'predictions.v1',
  streamKind: 'ticket',
  keepsRecords: true,
  stateCodec: predictionStateCodec,
  decide: (known, command, { eventId, causationId }) => {
    const state = known ?? initialPredictionState;
    if (command.$case === 'ticketDimensions') {
      return { kind: 'observed', state: { ...state, dimensions: command.value } };
    }
    const decision = decide(state, { event: command, eventId, causationId });
    return {
      kind: 'decided',
      event: encodePredictionEvent(decision.event),
      derived: [],
      state: decision.state,
    };
  },
  evolve: (known, { shape, eventBytes, eventId }) => {
    const { event } = PredictionEvent.decode(familyBytesOf(shape, eventBytes));
    if (event === undefined) throw new RangeError(`${shape.type} is no event of predictions`);
    return evolve(known ?? initialPredictionState, { event, eventId });
  },
};
