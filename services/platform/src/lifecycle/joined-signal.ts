/** A signal that fires with the first of several. */
export interface JoinedSignal {
  readonly signal: AbortSignal;
  /** Listens no more: whoever joined calls it when the work is over, or a long-lived signal keeps what was joined to it. */
  readonly release: () => void;
}

/**
 * Fires with the first of the signals, for its reason; at once when one has fired. Not `AbortSignal.any`, which holds what
 * it joins by weak references: depending on when the garbage collector ran it missed an abort (Node 24.21; found by the
 * simulation), and a relay whose connection had broken waited for ever. Here each signal holds the joined one until
 * `release`.
 */
export function joinSignals(...signals: readonly (AbortSignal | undefined)[]): JoinedSignal {
  const joined = new AbortController();
  const listening = new Map<AbortSignal, () => void>();
  const release = (): void => {
    for (const [signal, listener] of listening) signal.removeEventListener('abort', listener);
    listening.clear();
  };
  const fire = (signal: AbortSignal): void => {
    release();
    joined.abort(signal.reason);
  };
  for (const signal of signals) {
    if (signal === undefined || joined.signal.aborted) continue;
    if (signal.aborted) {
      fire(signal);
      continue;
    }
    const listener = (): void => fire(signal);
    listening.set(signal, listener);
    signal.addEventListener('abort', listener);
  }
  return { signal: joined.signal, release };
}
