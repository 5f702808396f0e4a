import assert from 'node:assert/strict';
import { attributeRules, type Attributes, onlyAllowed } from './attributes.ts';

describe('attributes of telemetry', () => {
  it('are of the list and under their rules, whatever a cast let through', () => {
    const given = {
      'messaging.destination.name': 'tickets.v1',
      'messaging.batch.message_count': 3,
      'error.type': 'ada@example.com',
      'lethe.erasure.id': 'Ada Beispiel',
      'rpc.method': 'lethe.tickets.v1.TicketService/GetTicket?id=Ada',
      'user.email': 'ada@example.com',
      'lethe.append.outcome': undefined,
    } as unknown as Attributes;
    assert.deepEqual(onlyAllowed(given), {
      'messaging.destination.name': 'tickets.v1',
      'messaging.batch.message_count': 3,
    });
  });

  it('of a metric are those that it declares', () => {
    const given = { 'error.type': 'KMS_SEALED', 'lethe.rows': 3 } as const;
    assert.deepEqual(onlyAllowed(given, ['error.type']), { 'error.type': 'KMS_SEALED' });
  });

  it('take no text that is on no list', () => {
    const texts = ['', 'x', 'Ada Beispiel', 'ada@example.com', '+999 4711 0815 23'];
    const objects = [{}, [], ['tickets.v1'], null, true, Symbol('x')];
    for (const [name, rule] of Object.entries(attributeRules)) {
      for (const value of [...texts, ...objects]) assert.equal(rule.accepts(value), false, name);
    }
  });
});
