import type { ServerDuplexStream } from '@grpc/grpc-js';
import { ServiceError } from '../errors/service-error.ts';
import type { RegisteredMethod } from './handler.ts';
import { type Answering, watchReader } from './stream-end.ts';

/** Throws MALFORMED_MESSAGE. */
export function decodeRequest(method: RegisteredMethod, bytes: Buffer): unknown {
  try {
    return method.definition.requestDeserialize(bytes);
  } catch (error) {
    throw new ServiceError('MALFORMED_MESSAGE', undefined, { cause: error });
  }
}

/** The caller's messages, until it says that there are no more, or the signal fires. */
export async function* decodeAll(
  method: RegisteredMethod,
  call: ServerDuplexStream<Buffer, Buffer>,
  signal: AbortSignal,
): AsyncIterable<unknown> {
  // A handler that throws leaves this loop early. The call must outlive that: on a destroyed one the status is never
  // written, and the caller waits for ever.
  const messages = call.iterator({ destroyOnReturn: false })[Symbol.asyncIterator]();
  let end: (() => void) | undefined;
  signal.addEventListener('abort', () => end?.(), { once: true });
  while (!signal.aborted) {
    const next = await new Promise<IteratorResult<unknown, unknown>>((resolve, reject) => {
      end = () => resolve({ done: true, value: undefined });
      messages.next().then(resolve, reject);
    });
    if (next.done === true) return;
    yield decodeRequest(method, next.value as Buffer);
  }
}

/**
 * Writes what a handler answers; what was answered before the signal fired is still written. A slow reader stops the
 * handler instead of filling memory: some 16 answers wait for it. READER_TOO_SLOW is thrown when it takes none for `slowReaderMs`.
 */
export async function writeAll(
  method: RegisteredMethod,
  call: Answering,
  responses: AsyncIterable<unknown>,
  signal: AbortSignal,
  slowReaderMs: number,
): Promise<void> {
  for await (const response of responses) {
    if (call.cancelled) return;
    if (!call.write(method.definition.responseSerialize(response))) {
      await drained(call, signal, slowReaderMs);
    }
    if (signal.aborted) return;
  }
}

const retryDelayMs = 1_000;

async function drained(call: Answering, signal: AbortSignal, withinMs: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const finish = () => {
      forget();
      call.off('drain', finish);
      signal.removeEventListener('abort', finish);
      resolve();
    };
    const forget = watchReader(call, withinMs, () => {
      reject(
        new ServiceError('READER_TOO_SLOW', undefined, { retryDelayMs, limit: 'slow_reader' }),
      );
      finish();
    });
    call.once('drain', finish);
    signal.addEventListener('abort', finish, { once: true });
    if (signal.aborted) finish();
  });
}
