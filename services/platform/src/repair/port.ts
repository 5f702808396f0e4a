import type { Kysely } from 'kysely';
import type { EventLog } from '../event-log/port.ts';
import type { Peers } from '../grpc/handler.ts';
import type { Clock, RandomBytes } from '../lifecycle/clock.ts';
import type { Logger } from '../log/logger.ts';

/** What the repair of a service works on: the stores of its process, of which none runs. */
export interface RepairPorts {
  /** The service's own schema. */
  readonly database: <Schema>() => Kysely<Schema>;
  readonly eventLog: EventLog;
  readonly peers: Peers;
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  readonly logger: Logger;
}

/** How a service's process is to look at its own stores. */
export interface RepairWish {
  /** False: looks and changes nothing. */
  readonly mends: boolean;
  readonly signal: AbortSignal;
}

/**
 * What was found, in words for an operator.
 * - `mendable`: mending does what `action` says. `mended`: it has just done so.
 * - `lost`: nothing here can mend it; `action` says what the operator can do.
 */
export interface RepairFinding {
  readonly state: 'mendable' | 'mended' | 'lost';
  readonly what: string;
  readonly action: string;
}
