import type { SimulatedProcess } from './simulated-process.ts';
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
  /** The run is over: nothing ever goes on. */
  end(): void;
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
  readonly wake: () => void;
  /** Nobody waits any more. Node keeps a composite signal for ever while somebody listens to it. */
  readonly release: () => void;
}

/** Simulated milliseconds of a step, at most; and how often time takes a longer stride with work at hand. */
const stepMsMax = 0.6;
const strideShare = 0.01;
const strideMsMax = 120;

export function createScheduler(options: SchedulerOptions): Scheduler {
  return new SeededScheduler(options);
}

class SeededScheduler implements Scheduler {
  readonly #options: SchedulerOptions;
  #parked: Parked[] = [];
  #sleepers: Sleeper[] = [];
  #nowMs = 0;
  #step = 0;

  constructor(options: SchedulerOptions) {
    this.#options = options;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  steps(): number {
    return this.#step;
  }

  async gate<Result>(operation: Operation<Result>): Promise<Result> {
    return new Promise<Result>((resolve, reject) => {
      if (operation.process.isDead) return;
      const settle = (run: () => unknown): void => {
        try {
          // The operation's own result, whose type `gate` was asked with.
          resolve(run() as Result);
        } catch (error) {
          reject(error instanceof Error ? error : new Error('not an error was thrown'));
        }
      };
      this.#parked.push({ operation, settle });
    });
  }

  async sleep(process: SimulatedProcess, durationMs: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    return new Promise<void>((resolve, reject) => {
      if (process.isDead) return;
      const sleeper: Sleeper = {
        process,
        atMs: this.#nowMs + Math.max(0, durationMs),
        wake: () => {
          sleeper.release();
          resolve();
        },
        release: () => signal?.removeEventListener('abort', aborted),
      };
      const aborted = (): void => {
        this.#sleepers = this.#sleepers.filter((each) => each !== sleeper);
        reject(signal?.reason instanceof Error ? signal.reason : new Error('aborted'));
      };
      signal?.addEventListener('abort', aborted, { once: true });
      this.#sleepers.push(sleeper);
    });
  }

  forget(process: SimulatedProcess): void {
    this.#parked = this.#parked.filter(({ operation }) => operation.process !== process);
    for (const sleeper of this.#sleepers) if (sleeper.process === process) sleeper.release();
    this.#sleepers = this.#sleepers.filter((each) => each.process !== process);
  }

  end(): void {
    for (const sleeper of this.#sleepers) sleeper.release();
    this.#sleepers = [];
    this.#parked = [];
  }

  async runUntil(isOver: () => boolean): Promise<'over' | 'stuck'> {
    const { random, beforeStep } = this.#options;
    for (;;) {
      // Everything that the last step set going comes to its next gate or sleep: no I/O is real here.
      await quiescence();
      if (isOver()) return 'over';
      beforeStep(this.#step);
      const chosen = this.#choose();
      if (chosen === undefined) {
        if (!this.#leap()) return 'stuck';
        continue;
      }
      this.#step += 1;
      this.#nowMs += random.chance(strideShare)
        ? random.whole(strideMsMax)
        : random.next() * stepMsMax;
      this.#take(chosen);
    }
  }

  #isAwake(process: SimulatedProcess): boolean {
    return process.pausedUntilMs <= this.#nowMs;
  }

  #choose(): Parked | Sleeper | undefined {
    const { random, unwelcomeShare } = this.#options;
    const able: (Parked | Sleeper)[] = this.#parked.filter(
      ({ operation }) => this.#isAwake(operation.process) && operation.mayRun?.() !== false,
    );
    for (const sleeper of this.#sleepers) {
      if (sleeper.atMs <= this.#nowMs && this.#isAwake(sleeper.process)) able.push(sleeper);
    }
    if (able.length === 0) return undefined;
    const first = random.pick(able);
    if (!isUnwelcome(first) || random.chance(unwelcomeShare)) return first;
    const welcome = able.filter((each) => !isUnwelcome(each));
    return welcome.length === 0 ? first : random.pick(welcome);
  }

  /** To the next moment at which something can happen; false when there is none. */
  #leap(): boolean {
    let next = Infinity;
    for (const { atMs, process } of this.#sleepers) {
      const moment = Math.max(atMs, process.pausedUntilMs);
      if (moment > this.#nowMs && moment < next) next = moment;
    }
    for (const { operation } of this.#parked) {
      const moment = operation.process.pausedUntilMs;
      if (moment > this.#nowMs && moment < next) next = moment;
    }
    if (next === Infinity) return false;
    this.#nowMs = next;
    return true;
  }

  #take(chosen: Parked | Sleeper): void {
    const { trace } = this.#options;
    if ('wake' in chosen) {
      this.#sleepers = this.#sleepers.filter((each) => each !== chosen);
      trace.note(`${this.#step} ${chosen.process.name} wakes`);
      chosen.wake();
      return;
    }
    this.#parked = this.#parked.filter((each) => each !== chosen);
    trace.note(`${this.#step} ${chosen.operation.process.name} ${chosen.operation.label}`);
    chosen.settle(chosen.operation.run);
  }
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
