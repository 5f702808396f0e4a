/** What one watching holder has not read yet. */
export interface RevocationQueue<Item> extends AsyncIterable<Item> {
  /** Nothing happens once it is closed. */
  push(item: Item): void;
  /** Ends the iteration after what is queued. */
  close(): void;
  isClosed(): boolean;
}

/** A holder that leaves this many unread is cut off: it evicts everything and registers again. */
const unreadMax = 10_000;

/** Ends by itself when the signal fires. */
export function createRevocationQueue<Item>(signal: AbortSignal): RevocationQueue<Item> {
  const items: Item[] = [];
  let closed = signal.aborted;
  let wake = Promise.withResolvers<void>();
  const close = (): void => {
    closed = true;
    wake.resolve();
    signal.removeEventListener('abort', close);
  };
  signal.addEventListener('abort', close);
  return {
    push: (item) => {
      if (closed) return;
      items.push(item);
      if (items.length > unreadMax) close();
      wake.resolve();
    },
    close,
    isClosed: () => closed,
    [Symbol.asyncIterator]: async function* () {
      try {
        for (;;) {
          yield* items.splice(0);
          if (closed && items.length === 0) return;
          await wake.promise;
          wake = Promise.withResolvers<void>();
        }
      } finally {
        // The reader is gone, however it ended.
        close();
      }
    },
  };
}
