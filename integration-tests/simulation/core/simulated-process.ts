import type { Clock, RandomBytes } from '@lethe/platform/lifecycle/clock.ts';

/** An instance of a service, from one start to its death. What it asks of a store or a peer goes through a gate. */
export interface SimulatedProcess {
  /** "tickets-1#2": the service, which of its instances, and which life. */
  readonly name: string;
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  /** Nothing of it ever goes on. */
  readonly isDead: boolean;
  /** Its operations wait until this moment of simulated time. */
  pausedUntilMs: number;
  /** Messages of streams, such as revocations, do not reach it before this moment. */
  deafUntilMs: number;
  /** Nor does anything from the log before this one. */
  undeliveredUntilMs: number;
  /** By how much its wall clock is off; jumps. */
  wallOffsetMs: number;
  /** Runs when it dies: connections break, calls to it fail. */
  onDeath(action: () => void): void;
  kill(): void;
}
