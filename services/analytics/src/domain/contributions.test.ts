import assert from 'node:assert/strict';
import { FeatureUsed } from '@lethe/proto/gen/lethe/usage/v1/events.ts';
import {
  CsatGiven,
  MessageAdded,
  StatusChanged,
  TicketOpened,
} from '@lethe/proto/gen/lethe/tickets/v1/events.ts';
import { eventShapes } from '@lethe/proto/gen/shapes.ts';
import { sampleEvent } from '../testing/sample-events.ts';
import { cellChangesOf, isCounted } from './contributions.ts';

const dimensions = { channel: 3, priority: 4, category: 26 } as const;

/** Family, codes and measures by name, as a reader would write them down. */
function told(type: string, eventBytes: Uint8Array) {
  return cellChangesOf(type, eventBytes).map(({ layout, codes, adds }) => ({
    family: layout.family.name,
    codes,
    adds: Object.fromEntries(
      adds.map(({ measure, amount }) => [layout.family.measures[measure]?.name, amount]),
    ),
  }));
}

describe('contributions', () => {
  it('count an opened ticket by what it says of itself, or by what was stamped', () => {
    const own = TicketOpened.fromPartial({ facts: dimensions });
    const stamped = TicketOpened.fromPartial({ facts: { channel: 1, dimensions } });
    for (const event of [own, stamped]) {
      assert.deepEqual(told('TicketOpened', TicketOpened.encode(event).finish()), [
        { family: 'ticket_flow', codes: [3, 4, 26], adds: { created: 1n } },
      ]);
    }
  });

  it('count public messages of human agents as replies, and no others', () => {
    const message = (isPublic: boolean, authorKind: 1 | 2 | 3) =>
      told(
        'MessageAdded',
        MessageAdded.encode(
          MessageAdded.fromPartial({ facts: { isPublic, authorKind, dimensions } }),
        ).finish(),
      );
    assert.deepEqual(message(true, 2), [
      { family: 'ticket_flow', codes: [3, 4, 26], adds: { replies: 1n } },
    ]);
    assert.deepEqual([message(false, 2), message(true, 1), message(true, 3)], [[], [], []]);
  });

  it('count status changes by the status before and after', () => {
    const event = StatusChanged.fromPartial({
      facts: { previousStatus: 2, status: 5, dimensions },
    });
    assert.deepEqual(told('StatusChanged', StatusChanged.encode(event).finish()), [
      { family: 'ticket_status', codes: [2, 5, 3, 4, 26], adds: { changes: 1n } },
    ]);
  });

  it('count satisfaction by score, and add the scores up', () => {
    const event = CsatGiven.fromPartial({ facts: { csat: 4, dimensions } });
    assert.deepEqual(told('CsatGiven', CsatGiven.encode(event).finish()), [
      { family: 'csat', codes: [4, 3, 4, 26], adds: { responses: 1n, score_sum: 4n } },
    ]);
  });

  it('count use with its quantity', () => {
    const event = FeatureUsed.fromPartial({
      facts: { feature: 8, result: 1, unit: 2, quantityMilli: 2_500n },
    });
    assert.deepEqual(told('FeatureUsed', FeatureUsed.encode(event).finish()), [
      { family: 'usage', codes: [1, 8, 1, 2], adds: { used: 1n, quantity_milli: 2_500n } },
    ]);
  });

  it('put codes that this version does not know into "unknown"', () => {
    const event = TicketOpened.fromPartial({ facts: { ...dimensions, channel: 77 as 1 } });
    const [change] = told('TicketOpened', TicketOpened.encode(event).finish());
    assert.deepEqual(change?.codes, [0, 4, 26]);
  });

  it('know only event types of the contract, and touch a family once per event', () => {
    const types = Object.keys(eventShapes);
    assert.ok(types.some(isCounted) && !types.every(isCounted));
    assert.ok(!isCounted('constructor'));
    for (let index = 0; index < 64; index += 1) {
      const { type, eventBytes } = sampleEvent(index);
      const touched = cellChangesOf(type, eventBytes).map(({ layout }) => layout.family.name);
      assert.equal(new Set(touched).size, touched.length);
      if (!isCounted(type)) assert.deepEqual(touched, []);
    }
  });

  it('throw on bytes that are no such event', () => {
    assert.throws(() => cellChangesOf('TicketOpened', Buffer.from('0affffffff', 'hex')));
  });
});
