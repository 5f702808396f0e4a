import type { SimulatedProcess } from './process.ts';
import type { Random } from './random.ts';
import type { Trace } from './trace.ts';

/** What stands at a gate. `run` is synchronous: one operation happens at a time, in one piece. */
export interface Operation<Result> {
  readonly process: SimulatedProcess;
  /** Into the trace; the same in every run of a seed. */
  readonly label: string;
  readonly run: () => Result;
  /** False while it has to wait, such as for a lock. */
  readonly mayRun?: () => boolean;
  /** True when others had better go first; it runs when there is nobody else, or now and then all the same. */
  readonly isUnwelcome?: () => boolean;
}

export interface SchedulerOptions {
  readonly random: Random;
  readonly trace: Trace;
  /** Called before each step, with its number; faults strike here. */
  readonly beforeStep: (step: number) => void;
  /** How often an unwelcome operation runs before the welcome ones. */
  readonly unwelcomeShare: number;
}

/** One thing at a time, in an order that the seed decides, on a clock that moves when nothing else can. */
export interface Scheduler {
  nowMs(): number;
  steps(): number;
  /** Waits until it is this operation's turn, and answers what it does. Never settles once its process is dead. */
  gate<Result>(operation: Operation<Result>): Promise<Result>;
  sleep(process: SimulatedProcess, durationMs: number, signal?: AbortSignal): Promise<void>;
  /** The process is dead: its operations are dropped. */
  forget(process: SimulatedProcess): void;
  /** Steps until the predicate holds (asked between two steps) or nothing can happen any more; answers which. */
  runUntil(isOver: () => boolean): Promise<'over' | 'stuck'>;
}

interface Parked {
  readonly operation: Operation<unknown>;
  readonly settle: (run: () => unknown) => void;
}

interface Sleeper {
  readonly process: SimulatedProcess;
  readonly atMs: number;
  readonly order: number;
  readonly wake: () => void;
}

/** Simulated milliseconds of a step, at most; and how often time takes a longer stride with work at hand. */
const stepMsMax = 0.6;
const strideShare = 0.01;
const strideMsMax = 120;

export function createScheduler(options: SchedulerOptions): Scheduler {
  const { random, trace } = options;
  let parked: Parked[] = [];
  let sleepers: Sleeper[] = [];
  let nowMs = 0;
  let step = 0;
  let sleeps = 0;

  const isAwake = (process: SimulatedProcess): boolean => process.pausedUntilMs <= nowMs;
  const turnOf = ({ operation }: Parked): boolean =>
    isAwake(operation.process) && operation.mayRun?.() !== false;
  const dueSleepers = (): Sleeper[] =>
    sleepers.filter(({ atMs, process }) => atMs <= nowMs && isAwake(process));
  const choose = (): Parked | Sleeper | undefined => {
    const due = dueSleepers();
    const able = parked.filter(turnOf);
    const all: (Parked | Sleeper)[] = [...able, ...due];
    if (all.length === 0) return undefined;
    const first = random.pick(all);
    if (!isUnwelcome(first) || random.chance(options.unwelcomeShare)) return first;
    const welcome = all.filter((each) => !isUnwelcome(each));
    return welcome.length === 0 ? first : random.pick(welcome);
  };
  /** To the next moment at which something can happen; false when there is none. */
  const leap = (): boolean => {
    const moments = [
      ...sleepers.map(({ atMs, process }) => Math.max(atMs, process.pausedUntilMs)),
      ...parked.map(({ operation }) => operation.process.pausedUntilMs),
    ].filter((moment) => moment > nowMs);
    if (moments.length === 0) return false;
    nowMs = moments.reduce((least, moment) => Math.min(least, moment));
    return true;
  };
  const take = (chosen: Parked | Sleeper): void => {
    if ('wake' in chosen) {
      sleepers = sleepers.filter((each) => each !== chosen);
      trace.note(`${step} ${chosen.process.name} wakes`);
      chosen.wake();
      return;
    }
    parked = parked.filter((each) => each !== chosen);
    trace.note(`${step} ${chosen.operation.process.name} ${chosen.operation.label}`);
    chosen.settle(chosen.operation.run);
  };

  return {
    nowMs: () => nowMs,
    steps: () => step,
    gate: async <Result>(operation: Operation<Result>) =>
      new Promise<Result>((resolve, reject) => {
        if (operation.process.isDead) return;
        const settle = (run: () => unknown): void => {
          try {
            // The operation's own result, whose type `gate` was asked with.
            resolve(run() as Result);
          } catch (error) {
            reject(error instanceof Error ? error : new Error('not an error was thrown'));
          }
        };
        parked.push({ operation, settle });
      }),
    sleep: async (process, durationMs, signal) => {
      signal?.throwIfAborted();
      if (process.isDead) return new Promise<void>(() => {});
      return new Promise<void>((resolve, reject) => {
        const sleeper: Sleeper = {
          process,
          atMs: nowMs + Math.max(0, durationMs),
          order: (sleeps += 1),
          wake: () => {
            signal?.removeEventListener('abort', aborted);
            resolve();
          },
        };
        const aborted = (): void => {
          sleepers = sleepers.filter((each) => each !== sleeper);
          reject(signal?.reason instanceof Error ? signal.reason : new Error('aborted'));
        };
        signal?.addEventListener('abort', aborted, { once: true });
        sleepers.push(sleeper);
      });
    },
    forget: (process) => {
      parked = parked.filter(({ operation }) => operation.process !== process);
      sleepers = sleepers.filter((each) => each.process !== process);
    },
    runUntil: async (isOver) => {
      for (;;) {
        // Everything that the last step set going comes to its next gate or sleep: no I/O is real here.
        await quiescence();
        if (isOver()) return 'over';
        options.beforeStep(step);
        const chosen = choose();
        if (chosen === undefined) {
          if (!leap()) return 'stuck';
          continue;
        }
        step += 1;
        nowMs += random.chance(strideShare) ? random.whole(strideMsMax) : random.next() * stepMsMax;
        take(chosen);
      }
    },
  };
}

function isUnwelcome(each: Parked | Sleeper): boolean {
  return 'operation' in each && each.operation.isUnwelcome?.() === true;
}

/** Ends when all microtasks and ticks that can run have run. */
async function quiescence(): Promise<void> {
  await new Promise<void>((resolve) => {
    setImmediate(resolve);
  });
}
