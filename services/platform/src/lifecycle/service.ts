import type { ServiceRegistration } from '../grpc/handler.ts';

/** What `createTickets`, `createKeys`, … answer: a service that is composed and not yet running. */
export interface Service {
  /** Served on the public port. */
  readonly publicApi: readonly ServiceRegistration[];
  /** Served to other services alone. */
  readonly internalApi: readonly ServiceRegistration[];
  /** Migrates, starts loops; resolves when the service can answer. Throws when it must not run. */
  start(): Promise<void>;
  /** Stops loops, finishes what is in flight; idempotent. */
  stop(): Promise<void>;
  /** Undefined while healthy; otherwise the reason why not ("partition tickets.v1/3 stopped: SEQUENCE_GAP"). */
  problem(): string | undefined;
}
