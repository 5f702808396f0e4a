import assert from 'node:assert/strict';
import { Metadata, status } from '@grpc/grpc-js';
import { callErrorOf } from '../calls/call-error.ts';
import { createStyle } from '../output/style.ts';
import { failure, type FailureWish } from '../testing/fake-server.ts';
import { CliError } from './cli-error.ts';
import { explain, explanationJson, explanationText } from './explain.ts';

const textOf = (wish: FailureWish) => {
  const explanation = explain(callErrorOf(failure(wish), '127.0.0.1:7480'));
  return { explanation, text: explanationText(explanation, createStyle(false), 'lethe') };
};

describe('explaining an error', () => {
  it('says what happened, the fields and rules, the reason and what to do next', () => {
    const { text } = textOf({
      code: status.INVALID_ARGUMENT,
      message: 'The request breaks 2 rules.',
      reason: 'INVALID_FIELDS',
      violations: [
        { field: 'events[0].occurred_at', description: 'must not be before 2000' },
        { field: 'events[0].ticket_id', description: 'is required' },
      ],
    });
    assert.equal(
      text,
      [
        'error The request breaks 2 rules.',
        '  events[0].occurred_at  must not be before 2000',
        '  events[0].ticket_id  is required',
        '  reason  INVALID_FIELDS',
        '  next    Correct the named fields and send the request again.',
        '',
      ].join('\n'),
    );
  });

  it('takes a reason that this client does not know yet', () => {
    const { explanation } = textOf({
      code: status.ABORTED,
      message: 'Later.',
      reason: 'BRAND_NEW',
    });
    assert.equal(explanation.reason, 'BRAND_NEW');
    assert.equal(explanation.next, undefined);
    assert.equal(explanation.exitCode, 1);
  });

  it('tells a server that is busy from one that is not there', () => {
    const busy = textOf({
      code: status.UNAVAILABLE,
      message: 'Starting.',
      reason: 'KEYS_CATCHING_UP',
    });
    assert.equal(busy.explanation.exitCode, 1);
    const absent = callErrorOf(
      Object.assign(new Error('x'), {
        code: status.UNAVAILABLE,
        details: 'No connection',
        metadata: new Metadata(),
      }),
      '127.0.0.1:7480',
    );
    assert.equal(explain(absent).exitCode, 3);
    assert.equal(explain(absent).what, 'No server answers at 127.0.0.1:7480.');
  });

  it('lives with details that are no protobuf', () => {
    const metadata = new Metadata();
    metadata.set('grpc-status-details-bin', Buffer.from([0xff, 0xff, 0xff]));
    const error = callErrorOf(
      Object.assign(new Error('x'), { code: status.NOT_FOUND, details: 'Gone.', metadata }),
      'host:1',
    );
    assert.equal(explain(error).what, 'Gone.');
  });

  it('never shows a stack, and keeps JSON on one line', () => {
    const defect = explain(new TypeError('undefined is not a function'));
    assert.doesNotMatch(explanationText(defect, createStyle(false), 'lethe'), /\n\s+at /);
    const json = explanationJson(explain(new CliError(2, 'two\nlines')));
    assert.equal(json.trimEnd().split('\n').length, 1);
  });
});
