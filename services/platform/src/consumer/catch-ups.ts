interface Waiting {
  readonly ends: ReadonlyMap<string, bigint>;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** Those who wait until partitions, by name, have been applied up to an offset. */
export interface CatchUps {
  /** Resolves once each partition has come to its end; rejects when one has stopped below it, or on `fail`. */
  wait(ends: ReadonlyMap<string, bigint>): Promise<void>;
  /** Everything of the partition below `offset` is applied; `stopped` when nothing more will be. */
  note(partition: string, offset: bigint, stopped: Error | undefined): void;
  /** Nothing more will be applied at all: rejects who waits now or later. The first error stays. */
  fail(error: Error): void;
}

export function createCatchUps(): CatchUps {
  const applied = new Map<
    string,
    { readonly offset: bigint; readonly stopped: Error | undefined }
  >();
  const waiting = new Set<Waiting>();
  let failed: Error | undefined;

  const settle = (each: Waiting): void => {
    const behind = [...each.ends]
      .map(([partition, end]) => ({ end, reached: applied.get(partition) }))
      .filter(({ end, reached }) => reached === undefined || reached.offset < end);
    const stopped = behind.find(({ reached }) => reached?.stopped !== undefined)?.reached?.stopped;
    const error = behind.length === 0 ? undefined : (stopped ?? failed);
    if (behind.length > 0 && error === undefined) return;
    waiting.delete(each);
    if (error === undefined) each.resolve();
    else each.reject(error);
  };
  return {
    wait: (ends) =>
      new Promise((resolve, reject) => {
        const each = { ends, resolve, reject };
        waiting.add(each);
        settle(each);
      }),
    note: (partition, offset, stopped) => {
      applied.set(partition, { offset, stopped });
      for (const each of waiting) settle(each);
    },
    fail: (error) => {
      failed ??= error;
      for (const each of waiting) settle(each);
    },
  };
}
