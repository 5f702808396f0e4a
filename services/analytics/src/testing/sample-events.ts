import { PredictionMade } from '@lethe/proto/gen/lethe/predictions/v1/events.ts';
import {
  CsatGiven,
  MessageAdded,
  Solved,
  StatusChanged,
  Tagged,
  TicketOpened,
} from '@lethe/proto/gen/lethe/tickets/v1/events.ts';
import { FeatureUsed } from '@lethe/proto/gen/lethe/usage/v1/events.ts';

/** An event message of one type, encoded. */
export interface SampleEvent {
  readonly type: string;
  readonly eventBytes: Buffer;
}

interface Sample {
  readonly type: string;
  readonly encode: (index: number) => { finish(): Uint8Array };
}

const filler = 'A sentence of generated text that nobody wrote. '.repeat(15);

const dimensionsOf = (index: number) => ({
  channel: (1 + (index % 3)) as 1 | 2 | 3,
  priority: (1 + (index % 4)) as 1 | 2 | 3 | 4,
  category: (1 + (index % 5)) as 1 | 2 | 3 | 4 | 5,
});

const personOf = (index: number) => ({
  naturalId: `p-${index}`,
  name: `Person ${index}`,
  email: `p${index}@example.com`,
});

const samples: readonly Sample[] = [
  {
    type: 'TicketOpened',
    encode: (index) =>
      TicketOpened.encode(
        TicketOpened.fromPartial({
          facts: { ...dimensionsOf(index), status: 1, authorKind: 1 },
          content: { subject: 'Generated', body: filler },
          requester: personOf(index),
        }),
      ),
  },
  {
    type: 'MessageAdded',
    encode: (index) =>
      MessageAdded.encode(
        MessageAdded.fromPartial({
          facts: { isPublic: true, authorKind: 2, dimensions: dimensionsOf(index) },
          content: { body: filler },
          author: personOf(index),
        }),
      ),
  },
  {
    type: 'StatusChanged',
    encode: (index) =>
      StatusChanged.encode(
        StatusChanged.fromPartial({
          facts: { previousStatus: 2, status: 3, authorKind: 2, dimensions: dimensionsOf(index) },
          agent: personOf(index),
        }),
      ),
  },
  {
    type: 'Solved',
    encode: (index) =>
      Solved.encode(
        Solved.fromPartial({
          facts: { previousStatus: 2, replies: 1, dimensions: dimensionsOf(index) },
        }),
      ),
  },
  {
    type: 'CsatGiven',
    encode: (index) =>
      CsatGiven.encode(
        CsatGiven.fromPartial({
          facts: { csat: 1 + (index % 5), dimensions: dimensionsOf(index) },
          content: { comment: filler },
          requester: personOf(index),
        }),
      ),
  },
  {
    type: 'PredictionMade',
    encode: (index) =>
      PredictionMade.encode(
        PredictionMade.fromPartial({
          facts: { target: 1, model: 2, decision: 1, dimensions: dimensionsOf(index) },
          content: { explanation: filler },
        }),
      ),
  },
  {
    type: 'FeatureUsed',
    encode: (index) =>
      FeatureUsed.encode(
        FeatureUsed.fromPartial({
          facts: { feature: 8, result: 1, unit: 1, quantityMilli: 2_500n },
          user: personOf(index),
        }),
      ),
  },
  {
    // Counted by no family.
    type: 'Tagged',
    encode: (index) =>
      Tagged.encode(
        Tagged.fromPartial({
          facts: { authorKind: 2, dimensions: dimensionsOf(index) },
          content: { tags: ['generated'] },
          agent: personOf(index),
        }),
      ),
  },
];

/** An encoded event by a number: eight kinds in turn, about 1 KB where there is text. */
export function sampleEvent(index: number): SampleEvent {
  const sample = samples[index % samples.length];
  if (sample === undefined) throw new RangeError('there are no samples');
  return { type: sample.type, eventBytes: Buffer.from(sample.encode(index).finish()) };
}
