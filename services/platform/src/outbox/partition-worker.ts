import type { LockSession } from '../database/lock-session.ts';
import { failureFields, failureText } from '../errors/failure.ts';
import { ServiceError } from '../errors/service-error.ts';
import type { TopicPartition } from '../event-log/port.ts';
import type { Clock } from '../lifecycle/clock.ts';
import { sleepQuietly } from '../lifecycle/wakeable.ts';
import type { Logger } from '../log/logger.ts';
import { type Backoff, createBackoff } from '../retry/backoff.ts';
import {
  createPartitionRelay,
  type PartitionRelay,
  type PartitionRelayPorts,
} from './relay-partition.ts';

export interface PartitionWorkerOptions<Schema> {
  readonly partition: TopicPartition;
  readonly session: LockSession<Schema>;
  readonly ports: PartitionRelayPorts<Schema>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly settings: { readonly retryFirstMs: number; readonly retryMaxMs: number };
  /** Fires when the session ends. */
  readonly signal: AbortSignal;
}

const failuresToReport = 5;

/** Keeps one partition going: one drain at a time, a pause after a failure, a stop when data is lost. */
export class PartitionWorker<Schema = unknown> {
  readonly #options: PartitionWorkerOptions<Schema>;
  readonly #name: string;
  readonly #relay: PartitionRelay;
  readonly #backoff: Backoff;
  #busy: Promise<void> | undefined;
  #asked = false;
  #stopped = false;
  #problem: string | undefined;

  constructor(options: PartitionWorkerOptions<Schema>) {
    const { partition, ports, settings } = options;
    this.#options = options;
    this.#name = `${partition.topic}/${partition.partition}`;
    this.#relay = createPartitionRelay(partition, ports);
    this.#backoff = createBackoff(settings.retryFirstMs, settings.retryMaxMs);
  }

  /** Begins to drain, or drains once more when it does already. */
  work(): void {
    this.#asked = true;
    if (this.#stopped || this.#options.signal.aborted) return;
    this.#busy ??= this.#drainWhileAsked();
  }

  /** Resolves when nothing is under way; call it after the signal has fired. */
  async ended(): Promise<void> {
    await this.#busy;
    await this.#closeWriter();
  }

  problem(): string | undefined {
    return this.#problem;
  }

  async #drainWhileAsked(): Promise<void> {
    // Rows that were committed while a drain was ending are asked for again.
    while (this.#asked && !this.#stopped && !this.#options.signal.aborted) {
      this.#asked = false;
      await this.#drain();
    }
    this.#busy = undefined;
  }

  async #drain(): Promise<void> {
    try {
      // When another session has the lock it also does the work.
      if (!(await this.#options.session.tryLock(`relay ${this.#name}`))) return;
      await this.#relay.drain(this.#options.signal);
      this.#backoff.reset();
      this.#problem = undefined;
    } catch (error) {
      this.#asked = true;
      await this.#fail(error);
    }
  }

  async #fail(error: unknown): Promise<void> {
    const { logger, clock, signal, partition } = this.#options;
    const text = failureText(error);
    const fields = { component: 'relay', ...partition, ...failureFields(error) };
    await this.#closeWriter();
    if (error instanceof ServiceError && error.code === 'DATA_LOSS') {
      this.#stopped = true;
      this.#problem = `relay of ${this.#name} stopped: ${text}`;
      logger.error({ ...fields, problem: this.#problem }, 'partition stopped');
      return;
    }
    const delayMs = this.#backoff.next();
    const attempt = this.#backoff.failures();
    if (attempt >= failuresToReport) this.#problem = `relay of ${this.#name} fails: ${text}`;
    logger.warn({ ...fields, attempt, delayMs }, 'partition will be tried again');
    await sleepQuietly(clock, delayMs, signal);
  }

  async #closeWriter(): Promise<void> {
    try {
      await this.#relay.forgetWriter();
    } catch (error) {
      // No harm: the next writer fences it.
      const { logger, partition } = this.#options;
      logger.warn(
        { component: 'relay', ...partition, ...failureFields(error) },
        'writer not closed',
      );
    }
  }
}
