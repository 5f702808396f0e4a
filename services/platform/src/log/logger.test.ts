import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { createLogger, type Logger } from './logger.ts';

describe('the log', () => {
  let text: string;
  let logger: Logger;

  beforeEach(() => {
    text = '';
    const destination = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        text += chunk.toString();
        done();
      },
    });
    logger = createLogger({ service: 'standalone', level: 'debug', destination });
  });
  const lines = (): Record<string, unknown>[] =>
    text
      .trim()
      .split('\n')
      .map((line) => {
        const { time, ...rest } = JSON.parse(line) as Record<string, unknown>;
        assert.match(String(time), /^\d{4}-\d{2}-\d{2}T/);
        return rest;
      });

  it('carries allowed fields, and the names alone of others', () => {
    logger.warn({ tenant: 'acme', sequence: 7n, email: 'maria@example.com', count: {} }, 'said');
    assert.deepEqual(lines(), [
      {
        level: 'warn',
        service: 'standalone',
        tenant: 'acme',
        sequence: '7',
        dropped: ['email', 'count'],
        msg: 'said',
      },
    ]);
  });

  it('names a service once, also in the lines of a child', () => {
    logger.info({ address: 'x' }, 'one');
    logger.child({ service: 'keys' }).child({ component: 'relay' }).info({}, 'two');
    logger.child({ component: 'relay' }).info('three');
    assert.deepEqual(
      lines().map((line) => line['service']),
      ['standalone', 'keys', 'standalone'],
    );
    for (const line of text.trim().split('\n')) assert.equal(line.split('"service"').length, 2);
  });

  it('keeps to the allowed fields in what a child carries', () => {
    logger.child({ service: 'keys', requester: 'maria@example.com' }).info({}, 'said');
    assert.ok(!text.includes('maria'), text);
    assert.equal(lines()[0]?.['service'], 'keys');
  });

  it('writes no word of an error, however it is given', () => {
    const error = new Error('no such person: maria@example.com');
    logger.error(error);
    logger.error({ err: error });
    logger.error({ error, reason: 'INTERNAL_DEFECT' }, 'failed');
    logger.error(error, 'failed');
    logger.error({}, 'failed %s', 'maria@example.com');
    assert.ok(!text.includes('maria'), text);
    assert.match(String(lines()[0]?.['problem']), /^Error at /);
  });
});
