import assert from 'node:assert/strict';
import { ServiceError } from '../errors/service-error.ts';
import { createInMemorySpans } from '../testing/in-memory-spans.ts';
import type { SpanToBegin } from './port.ts';

const traceOf = (digit: string) => ({ traceId: digit.repeat(32), spanId: digit.repeat(16) });
const [one, two] = [traceOf('1'), traceOf('2')];
const append: SpanToBegin = { name: 'append', kind: 'internal' };
const message: SpanToBegin = { name: 'rpc message', kind: 'server', isOwnTrace: true };
const consume = { name: 'consume', kind: 'consumer' } as const;

describe('spans', () => {
  function world(ratio: number) {
    const { telemetry, ended } = createInMemorySpans(ratio);
    return { spans: telemetry, ended };
  }

  it('are children of the span that the code runs in', async () => {
    const { spans, ended } = world(1);
    const seen = await spans.inSpan(append, async () => {
      const outer = spans.current();
      await spans.inSpan({ name: 'kms call', kind: 'client' }, async () => undefined);
      return outer;
    });
    const [inner, outer] = ended();
    assert.equal(inner?.parentSpanContext?.spanId, outer?.spanContext().spanId);
    assert.equal(seen?.spanId, outer?.spanContext().spanId);
    assert.equal(spans.current(), undefined);
  });

  it('say the reason of a failure and nothing of its message', async () => {
    const { spans, ended } = world(1);
    const failing = spans.inSpan(append, async () => {
      throw new ServiceError('KMS_SEALED', 'maria@example.com');
    });
    await assert.rejects(failing, { reason: 'KMS_SEALED' });
    const [span] = ended();
    assert.deepEqual(span?.attributes, { 'error.type': 'KMS_SEALED' });
    assert.deepEqual(span?.status, { code: 2 });
    assert.deepEqual(span?.events, []);
  });

  it('of a batch of one trace are in it; of several they have links', async () => {
    const { spans, ended } = world(0);
    spans.begin({ ...consume, batchOf: [one, one] }).end();
    spans.begin({ ...consume, batchOf: [one, two] }).end();
    spans.begin({ ...consume, batchOf: [] }).end();
    const [single, several, ...none] = ended();
    assert.equal(single?.spanContext().traceId, one.traceId);
    assert.equal(single?.parentSpanContext?.spanId, one.spanId);
    assert.notEqual(several?.spanContext().traceId, one.traceId);
    const links = several?.links.map(({ context }) => context.spanId);
    assert.deepEqual(links, [one.spanId, two.spanId]);
    assert.deepEqual(none, []);
  });

  it('of one of many are a trace of their own, with a link to what they are in', async () => {
    const { spans, ended } = world(1);
    await spans.inSpan({ name: 'rpc server', kind: 'server' }, async () => {
      await spans.inSpan(message, async () => await spans.inSpan(append, async () => undefined));
    });
    await spans.inSpan(message, async () => undefined);
    const [inner, first, stream, alone] = ended();
    assert.equal(inner?.spanContext().traceId, first?.spanContext().traceId);
    assert.equal(first?.parentSpanContext, undefined);
    assert.notEqual(first?.spanContext().traceId, stream?.spanContext().traceId);
    const linked = first?.links.map(({ context }) => context.spanId);
    assert.deepEqual(linked, [stream?.spanContext().spanId]);
    assert.deepEqual(alone?.links, []);
  });

  it('of one of many are recorded by their share, not because what they are in is', async () => {
    const { spans, ended } = world(0);
    await spans.inSpan({ name: 'rpc server', kind: 'server', parent: one }, async () => {
      await spans.inSpan(message, async () => {
        assert.equal(spans.current(), undefined);
      });
    });
    assert.deepEqual(
      ended().map(({ name }) => name),
      ['rpc server'],
    );
  });

  it('that begin here are recorded by their share, and all below them with them', async () => {
    const { spans, ended } = world(0);
    await spans.inSpan(append, async () => {
      assert.equal(spans.current(), undefined);
      await spans.inSpan({ name: 'kms call', kind: 'client' }, async () => undefined);
    });
    assert.deepEqual(ended(), []);
    await spans.inSpan({ name: 'rpc server', kind: 'server', parent: one }, async () => undefined);
    assert.equal(ended()[0]?.spanContext().traceId, one.traceId);
  });
});
