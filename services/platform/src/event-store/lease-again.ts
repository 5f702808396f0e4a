import type { Scope } from '../ids/ids.ts';
import type { OpenRequest } from '../key-client/port.ts';

/**
 * Thrown inside a batch's transaction when the keys that were leased before it do not do: it rolls back, and the
 * batch is leased and run anew. Never leaves the event store.
 */
export class LeaseAgain extends Error {
  override readonly name = 'LeaseAgain';
  /** Leases that are older than a fence that stands here. */
  readonly stale: readonly Scope[];
  /** Keys of older generations under which states of streams lie. */
  readonly toOpen: readonly OpenRequest[];

  constructor(needs: {
    readonly stale?: readonly Scope[];
    readonly toOpen?: readonly OpenRequest[];
  }) {
    super('the batch needs other leases');
    this.stale = needs.stale ?? [];
    this.toOpen = needs.toOpen ?? [];
  }
}
