import type { ServerDuplexStream, ServerWritableStream } from '@grpc/grpc-js';
import { constants } from 'node:http2';
import { ServiceError } from '../errors/service-error.ts';
import type { Clock } from '../lifecycle/clock.ts';
import { joinSignals } from '../lifecycle/joined-signal.ts';

/** A call that the server answers with a stream. */
export type Answering = ServerWritableStream<Buffer, Buffer> | ServerDuplexStream<Buffer, Buffer>;

interface Cancellable {
  on(event: 'cancelled', listener: () => void): unknown;
}

/** Fires when the caller leaves or its deadline passes. */
export function cancellationOf(call: Cancellable): AbortSignal {
  const controller = new AbortController();
  call.on('cancelled', () => controller.abort());
  return controller.signal;
}

/** When a stream ends from outside of its handler. */
export interface StreamEnd {
  /** The caller left, the server stops or the caller's token expired. */
  readonly signal: AbortSignal;
  /** Ends the stream when its caller's token does, milliseconds since 1970; nothing happens without one. */
  atExpiry(expiresAtMs: number | undefined): void;
  /**
   * Once the handler has ended, or thrown: throws why we ended the stream, when we did. What it had left to say is not
   * known to be nothing, so this is never a clean end.
   */
  throwIfOurs(): void;
  clear(): void;
}

/** The longest that a timer takes, milliseconds; a token lives for an hour. */
const timerMaxMs = 2 ** 31 - 1;

export function createStreamEnd(
  call: Cancellable,
  stopping: AbortSignal | undefined,
  clock: Clock,
): StreamEnd {
  const expired = new AbortController();
  const { signal, release } = joinSignals(cancellationOf(call), expired.signal, stopping);
  let timer: NodeJS.Timeout | undefined;
  return {
    signal,
    atExpiry: (expiresAtMs) => {
      if (expiresAtMs === undefined) return;
      const restMs = Math.max(0, expiresAtMs - clock.nowMs());
      timer = setTimeout(() => expired.abort(), Math.min(restMs, timerMaxMs));
      timer.unref();
    },
    throwIfOurs: () => {
      if (stopping?.aborted === true) throw new ServiceError('SHUTTING_DOWN');
      if (!expired.signal.aborted) return;
      throw new ServiceError(
        'TOKEN_EXPIRED',
        'The access token expired while the stream was open.',
      );
    },
    clear: () => {
      clearTimeout(timer);
      release();
    },
  };
}

/**
 * Calls `onStuck` once the caller has taken none of the waiting answers for `afterMs`, and again as long as that lasts; one
 * that is slow and takes some is left alone. Answers how to end the watch.
 */
export function watchReader(call: Answering, afterMs: number, onStuck: () => void): () => void {
  let waiting = call.writableLength;
  const timer = setInterval(() => {
    const before = waiting;
    waiting = call.writableLength;
    if (waiting >= before) onStuck();
  }, afterMs);
  timer.unref();
  return () => clearInterval(timer);
}

/**
 * Cuts a call that has ended while nothing of its last answers is taken for `afterMs`: they would be kept for a caller
 * that perhaps never reads. The caller sees RESOURCE_EXHAUSTED, from the transport.
 */
export function cutWhenUnread(call: Answering, afterMs: number): void {
  if (call.writableFinished) return;
  const forget = watchReader(call, afterMs, () => cut(call));
  call.once('finish', forget);
  call.once('cancelled', forget);
}

// grpc-js has no way to end a call while flow control holds its data back; under it lies a stream of node:http2. A test
// holds that this finds it (pressure.test.ts).
function cut(call: Answering): void {
  const http2Stream: unknown = Reflect.get(Object(Reflect.get(call, 'call')), 'stream');
  const close: unknown = Reflect.get(Object(http2Stream), 'close');
  if (typeof close === 'function') {
    Reflect.apply(close, http2Stream, [constants.NGHTTP2_ENHANCE_YOUR_CALM]);
  }
}
