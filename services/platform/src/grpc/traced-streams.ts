import type { OpenSpan, SpanToBegin, Telemetry } from '../telemetry/port.ts';
import { failureAttributes } from './failure-attributes.ts';
import type { AroundMessage } from './handler.ts';

/** A stream of answers and the span of its call. */
export interface StreamToTrace<Answer> {
  readonly telemetry: Telemetry;
  readonly span: SpanToBegin;
  /** Fires when the stream ends from outside of whoever answers. */
  readonly signal: AbortSignal | undefined;
  readonly answers: () => AsyncIterable<Answer>;
}

/**
 * The answers, in a span from the first that is asked for to the end of the stream, as OpenTelemetry's conventions have it
 * for streams; whatever is done to make them is below it.
 */
export async function* inStreamSpan<Answer>({
  telemetry,
  span: toBegin,
  signal,
  answers,
}: StreamToTrace<Answer>): AsyncIterable<Answer> {
  const span = telemetry.begin(toBegin);
  try {
    for await (const answer of madeWithin(span, answers())) yield answer;
    // One that ended from outside is answered with what is not known here: a stop, a token that expired.
    if (signal?.aborted !== true) span.set({ 'rpc.response.status_code': 'OK' });
  } catch (error) {
    if (signal?.aborted !== true) {
      span.set(failureAttributes(error));
      span.end(error);
    }
    throw error;
  } finally {
    // Also when the reader leaves.
    span.end();
  }
}

/**
 * Each message of a stream is a trace of its own, with a link to the stream's span: a stream may last for hours and carry
 * millions, and its span is sent when it ends.
 */
export function messageSpans(
  telemetry: Telemetry,
  span: Pick<SpanToBegin, 'attributes'>,
): AroundMessage {
  const toBegin = { ...span, name: 'rpc message', kind: 'server', isOwnTrace: true } as const;
  return async (work) => await telemetry.inSpan(toBegin, work);
}

/** A generator runs in the scope of whoever asks it for the next: here that is the span's. */
function madeWithin<Answer>(span: OpenSpan, answers: AsyncIterable<Answer>): AsyncIterable<Answer> {
  return {
    [Symbol.asyncIterator]: () => {
      const iterator = answers[Symbol.asyncIterator]();
      return {
        next: async () => await span.within(async () => await iterator.next()),
        return: async () => {
          await span.within(async () => await iterator.return?.());
          return { done: true, value: undefined };
        },
      };
    },
  };
}
