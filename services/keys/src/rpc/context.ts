import type { Kysely } from 'kysely';
import type { Clock, RandomBytes } from '@lethe/platform/lifecycle/clock.ts';
import type { CatchUp } from '../catch-up.ts';
import type { TenantKeyrings } from '../hierarchy/tenant-keyrings.ts';
import type { Holders } from '../holders.ts';
import type { KeysSchema } from '../store/schema.ts';
import type { UnreadableClock } from '../unreadable-clock.ts';

/** What the handlers work with. */
export interface KeysContext {
  readonly db: Kysely<KeysSchema>;
  readonly keyrings: TenantKeyrings;
  readonly holders: Holders;
  readonly unreadableClock: UnreadableClock;
  readonly catchUp: CatchUp;
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  /** How long a lease lives, at most leaseTtlMaxMs. */
  readonly leaseTtlMs: number;
  /** How long after its end a month still gets contributors. */
  readonly monthGraceMs: number;
}
