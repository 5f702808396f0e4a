/** Runs work, waiting its turn: first come, first served. */
export type Gate = <Result>(work: () => Promise<Result>) => Promise<Result>;

/** Lets at most `runningMax` pieces of work run at a time. */
export function createGate(runningMax: number): Gate {
  let running = 0;
  const waiting: (() => void)[] = [];
  return async (work) => {
    // A place that is given up goes straight to the next in line, so `running` is not touched then.
    if (running >= runningMax) await new Promise<void>((enter) => waiting.push(enter));
    else running += 1;
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) running -= 1;
      else next();
    }
  };
}
