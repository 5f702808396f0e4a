import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Watch } from './pglite-session.ts';

/** Places in the memory shared with the thread: the number of the statement in flight (0: none), and the stop sign. */
export const statementSlot = 0;
export const stopSlot = 1;

export interface ThreadSettings {
  readonly shared: Int32Array<SharedArrayBuffer>;
  readonly timeoutMs: number;
}

export interface HungQueryOptions {
  /** A single statement that takes longer is taken for hung. */
  readonly timeoutMs: number;
  /** Told once, with the reason, when the event loop still turns. */
  readonly onHung: (reason: string) => void;
  /**
   * Ends the process from a thread of its own when the event loop does not turn any more, this much later: whoever
   * listens to `onHung` may end it with more grace. Undefined: never.
   */
  readonly killsAfterMs: number | undefined;
}

export interface HungQueryWatchdog {
  readonly watch: Watch;
  /** Tells `onHung` unless it was told. */
  readonly report: (reason: string) => void;
  stop(): Promise<void>;
}

/**
 * Watches the statements of an embedded database. On a full disk PGlite panics (reported by the session), and the
 * statement after that spins for ever inside WASM: no timer and no signal handler of this thread ever runs again.
 */
export function startHungQueryWatchdog(options: HungQueryOptions): HungQueryWatchdog {
  const { timeoutMs, onHung, killsAfterMs } = options;
  const shared = new Int32Array(new SharedArrayBuffer(8));
  const thread =
    killsAfterMs === undefined
      ? undefined
      : startThread({ shared, timeoutMs: timeoutMs + killsAfterMs });
  let statement = 0;
  let told = false;
  const report = (reason: string): void => {
    if (told) return;
    told = true;
    onHung(reason);
  };
  return {
    report,
    watch: async (work) => {
      // Wraps to 1, as 0 says that nothing is in flight.
      statement = (statement % 0x7fff_ffff) + 1;
      Atomics.store(shared, statementSlot, statement);
      const timer = setTimeout(() => {
        report(`a database statement has not answered for ${timeoutMs} ms`);
      }, timeoutMs);
      timer.unref();
      try {
        return await work();
      } finally {
        clearTimeout(timer);
        Atomics.store(shared, statementSlot, 0);
      }
    },
    stop: async () => {
      Atomics.store(shared, stopSlot, 1);
      Atomics.notify(shared, stopSlot);
      await thread?.terminate();
    },
  };
}

function startThread(settings: ThreadSettings): Worker {
  const file = new URL(`./hung-query-thread${extname(import.meta.filename)}`, import.meta.url);
  const thread = new Worker(file, { workerData: settings, execArgv: [] });
  thread.unref();
  return thread;
}
