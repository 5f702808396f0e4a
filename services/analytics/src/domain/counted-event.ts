import type { TenantId } from '@lethe/platform/ids/ids.ts';
import type { CellChange } from './contributions.ts';

/** All that analytics keeps of an event between opening and folding it. */
export interface CountedEvent {
  readonly tenantId: TenantId;
  readonly occurredAtMs: number;
  /** 16 hex digits: the requester's hash for the month; undefined where the month is closed. */
  readonly contributor: string | undefined;
  readonly changes: readonly CellChange[];
}
