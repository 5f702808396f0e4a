/** What must be closed again, newest first. */
export interface UndoStack {
  push(undo: () => Promise<void>): void;
  /**
   * Runs all of them, each whatever became of the others, then throws the first failure. A second call waits for the
   * first.
   */
  run(): Promise<void>;
}

export function createUndoStack(): UndoStack {
  const steps: (() => Promise<void>)[] = [];
  let running: Promise<void> | undefined;
  const runAll = async () => {
    const failures: unknown[] = [];
    for (const undo of steps.toReversed()) {
      try {
        await undo();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  };
  return {
    push: (undo) => {
      steps.push(undo);
    },
    run: async () => {
      running ??= runAll();
      await running;
    },
  };
}
