import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Record as LogRecord } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import { emptyRecord } from '../testing/log-records.ts';
import {
  encodeTraceContext,
  encodeTraceparent,
  parseTraceContext,
  parseTraceparent,
  traceContextOfRecord,
} from './trace-context.ts';

const hex = (length: number) =>
  fc
    .uint8Array({ minLength: length, maxLength: length })
    .filter((bytes) => bytes.some((byte) => byte !== 0))
    .map((bytes) => Buffer.from(bytes).toString('hex'));
const context = fc.record({ traceId: hex(16), spanId: hex(8) }, { noNullPrototype: true });

describe('a trace context', () => {
  it('law: is found again in a header, in bytes and in a record', () => {
    fc.assert(
      fc.property(context, fc.uint8Array({ maxLength: 300 }), (given, payload) => {
        const traceContext = encodeTraceContext(given);
        assert.equal(traceContext.length, 24);
        assert.deepEqual(parseTraceContext(traceContext), given);
        assert.deepEqual(parseTraceparent(encodeTraceparent(given)), given);
        const record = { ...emptyRecord('a'), clearPayload: Buffer.from(payload), resealed: true };
        const encoded = LogRecord.encode({ ...record, traceContext }).finish();
        assert.deepEqual(traceContextOfRecord(encoded), given);
        assert.equal(traceContextOfRecord(LogRecord.encode(record).finish()), undefined);
      }),
    );
  });

  it('is none for any other text or bytes', () => {
    const zeros = '0'.repeat(32);
    const some = 'a'.repeat(32);
    for (const text of [
      '',
      `00-${some}-${some.slice(16)}-00`,
      `00-${zeros}-${some.slice(16)}-01`,
      `01-${some}-${some.slice(16)}-01`,
      `00-${some}-${some.slice(16)}-01-more`,
      `00-maria@example.com-${some.slice(16)}-01`,
    ]) {
      assert.equal(parseTraceparent(text), undefined, text);
    }
    assert.equal(parseTraceContext(Buffer.alloc(24)), undefined);
    assert.equal(parseTraceContext(Buffer.alloc(23, 1)), undefined);
  });

  it('law: is looked for in any bytes without a failure', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        traceContextOfRecord(bytes);
      }),
    );
  });
});
