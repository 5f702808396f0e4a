import type { RecordHeader } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import type { Told } from '../world/client.ts';
import type { World } from '../world/world.ts';
import type { Observed } from './observed.ts';

type Rows = readonly Readonly<Record<string, unknown>>[];

/** Everything that a law may look at. */
export interface Evidence extends Pick<World, 'log' | 'ledger' | 'running' | 'plan'> {
  readonly told: Told;
  readonly observed: Observed;
  /** Of the database as it is committed. Tables with their schema's name. */
  readonly rows: (text: string, parameters: readonly unknown[]) => Rows;
  /** Milliseconds since 1970 on a clock that never jumped, or what comes nearest. */
  readonly committedAtMs: (header: RecordHeader) => bigint;
}
