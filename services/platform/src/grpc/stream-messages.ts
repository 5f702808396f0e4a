import type { ServerDuplexStream, ServerWritableStream } from '@grpc/grpc-js';
import { ServiceError } from '../errors/service-error.ts';
import type { RegisteredMethod } from './handler.ts';

/** A call that the server answers with a stream. */
type Answering = ServerWritableStream<Buffer, Buffer> | ServerDuplexStream<Buffer, Buffer>;

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

/** Writes what a handler answers; what was answered before the signal fired is still written. */
export async function writeAll(
  method: RegisteredMethod,
  call: Answering,
  responses: AsyncIterable<unknown>,
  signal: AbortSignal,
): Promise<void> {
  for await (const response of responses) {
    if (call.cancelled) return;
    // A slow reader stops the handler here instead of filling memory.
    if (!call.write(method.definition.responseSerialize(response))) await drained(call, signal);
    if (signal.aborted) return;
  }
}

async function drained(call: Answering, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const finish = () => {
      call.off('drain', finish);
      signal.removeEventListener('abort', finish);
      resolve();
    };
    call.once('drain', finish);
    signal.addEventListener('abort', finish, { once: true });
    if (signal.aborted) finish();
  });
}
