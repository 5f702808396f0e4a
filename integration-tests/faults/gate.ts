/**
 * Keeps sender and faults in step: faults wait until so many events are acknowledged, and the sender waits where a
 * fault is due that has not begun, so that each happens among the events that the plan says.
 */
export interface Gate {
  /** Events acknowledged so far. */
  acknowledged(): number;
  acknowledge(events: number): void;
  /** Resolves when so many events are acknowledged; rejects once `fail` was called. */
  reached(events: number): Promise<void>;
  /** A lane says at how many events its next fault is due; Infinity when none is left. */
  nextDue(lane: number, atEvents: number): void;
  /** Resolves when the sender may send more. */
  readonly open: () => Promise<void>;
  /** Lets everybody who waits throw. */
  fail(error: unknown): void;
}

interface Waiting {
  readonly isOver: () => boolean;
  readonly promise: PromiseWithResolvers<void>;
}

export function createGate(): Gate {
  const due = new Map<number, number>();
  let waiting: Waiting[] = [];
  let acknowledged = 0;
  let failure: { readonly error: unknown } | undefined;
  const look = () => {
    for (const { isOver, promise } of waiting) {
      if (failure !== undefined) promise.reject(failure.error);
      else if (isOver()) promise.resolve();
    }
    waiting = failure === undefined ? waiting.filter(({ isOver }) => !isOver()) : [];
  };
  const until = async (isOver: () => boolean) => {
    const promise = Promise.withResolvers<void>();
    waiting.push({ isOver, promise });
    look();
    await promise.promise;
  };
  return {
    acknowledged: () => acknowledged,
    acknowledge: (events) => {
      acknowledged += events;
      look();
    },
    reached: async (events) => await until(() => acknowledged >= events),
    nextDue: (lane, atEvents) => {
      due.set(lane, atEvents);
      look();
    },
    open: async () => await until(() => [...due.values()].every((each) => acknowledged < each)),
    fail: (error) => {
      failure ??= { error };
      look();
    },
  };
}
