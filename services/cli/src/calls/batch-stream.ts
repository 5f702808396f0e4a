import type { Channel, Duplex, Method } from './channel.ts';
import { type AskedWait, createPatientRetries, type RetryMeans } from './retry.ts';

export interface BatchStream<Request, Response> {
  readonly channel: Channel;
  readonly method: Method<Request, Response>;
  /** Asked for at each opening, so that a long send never carries an expired token. */
  readonly accessToken: () => Promise<string | undefined>;
  readonly messages: AsyncIterable<Request> | Iterable<Request>;
  /** How many messages may wait for their acknowledgement; more are not even read from `messages`. */
  readonly inFlightMax: number;
  /** Called once for each message, in order, after the server committed it. */
  readonly onAcknowledged: (request: Request, response: Response) => void | Promise<void>;
  /** The server has no room for now: the send waits and goes on. */
  readonly onAskedToWait?: (wait: AskedWait) => void;
  readonly means: RetryMeans;
}

/** What is between the source of messages and the server. */
interface Window<Request> {
  readonly source: AsyncIterator<Request> | Iterator<Request>;
  /** Sent and not acknowledged, oldest first. */
  readonly pending: Request[];
  isExhausted: boolean;
}

/**
 * Sends every message over the method's stream; the server answers each, in order. After a broken stream the messages
 * without an answer are sent again on a new one: the server may have committed some of them, and as every event
 * carries its own id it answers "duplicate" to those. If this process dies, what is unacknowledged is unknown to us,
 * and a later run sends it again with the same effect.
 */
export async function sendBatches<Request, Response>(
  stream: BatchStream<Request, Response>,
): Promise<void> {
  const { messages } = stream;
  const source =
    Symbol.asyncIterator in messages
      ? messages[Symbol.asyncIterator]()
      : messages[Symbol.iterator]();
  const window: Window<Request> = { source, pending: [], isExhausted: false };
  const retries = createPatientRetries(stream.means, stream.onAskedToWait);
  try {
    for (;;) {
      try {
        await runOnce(stream, window, () => retries.succeeded());
        return;
      } catch (error) {
        await retries.pause(error);
      }
    }
  } finally {
    // Lets a source that reads a file close it when the send fails.
    if (!window.isExhausted) await source.return?.();
  }
}

async function runOnce<Request, Response>(
  stream: BatchStream<Request, Response>,
  window: Window<Request>,
  onProgress: () => void,
): Promise<void> {
  const { channel, method, means } = stream;
  const accessToken = await stream.accessToken();
  const duplex = channel.openDuplex(method, { accessToken, signal: means.signal });
  try {
    for (const request of window.pending) duplex.write(request);
    await fill(stream, window, duplex);
    for await (const response of duplex.responses) {
      const request = window.pending.shift();
      if (request === undefined) throw new RangeError(`${method.path} answered too often`);
      onProgress();
      await stream.onAcknowledged(request, response);
      await fill(stream, window, duplex);
    }
  } finally {
    duplex.cancel();
  }
  if (window.pending.length > 0 || !window.isExhausted) {
    throw new RangeError(`${method.path} ended with messages unanswered`);
  }
}

async function fill<Request, Response>(
  { inFlightMax }: BatchStream<Request, Response>,
  window: Window<Request>,
  duplex: Duplex<Request, Response>,
): Promise<void> {
  while (!window.isExhausted && window.pending.length < inFlightMax) {
    const next = await window.source.next();
    if (next.done === true) {
      window.isExhausted = true;
    } else {
      window.pending.push(next.value);
      duplex.write(next.value);
    }
  }
  if (window.isExhausted && window.pending.length === 0) duplex.end();
}
