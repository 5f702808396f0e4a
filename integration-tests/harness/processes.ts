import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process';
import { once } from 'node:events';

/** How a process ended. */
export interface Ended {
  /** Null when a signal ended it. */
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface StartWish {
  readonly env?: Readonly<Record<string, string>>;
  readonly stdio: StdioOptions;
}

/** A process with all that it starts: they form one group, and are killed as one. */
export interface KeptProcess {
  readonly child: ChildProcess;
  /** Resolves when it has ended and its pipes are read to their end. */
  readonly ended: Promise<Ended>;
  /** Signals the group; does nothing once it has ended. */
  kill(signal: NodeJS.Signals): void;
}

/** Starts processes and sees to it that none outlives the tests. */
export interface ProcessKeeper {
  /** Runs this Node with a script of the repository. */
  startNode(script: string, args: readonly string[], wish: StartWish): KeptProcess;
  /** Kills what still runs and waits for its end. */
  stopAll(): Promise<void>;
}

export function createProcessKeeper(): ProcessKeeper {
  const running = new Set<KeptProcess>();
  // A test run that dies in between leaves nothing behind either.
  const killAll = () => {
    for (const kept of running) kept.kill('SIGKILL');
  };
  process.on('exit', killAll);
  return {
    startNode: (script, args, { env, stdio }) => {
      const child = spawn(process.execPath, [script, ...args], {
        detached: true,
        env: { ...process.env, ...env },
        stdio,
      });
      const kept = keep(child);
      running.add(kept);
      void kept.ended.then(() => running.delete(kept));
      return kept;
    },
    stopAll: async () => {
      killAll();
      await Promise.all(Array.from(running, async ({ ended }) => await ended));
      process.off('exit', killAll);
    },
  };
}

function keep(child: ChildProcess): KeptProcess {
  const ended = once(child, 'close').then((): Ended => {
    const { exitCode, signalCode } = child;
    return { exitCode, signal: signalCode };
  });
  return {
    child,
    ended,
    kill: (signal) => {
      if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
      // The negative id is the group that `detached` made: the server of `lethe up` goes with its parent.
      process.kill(-child.pid, signal);
    },
  };
}
