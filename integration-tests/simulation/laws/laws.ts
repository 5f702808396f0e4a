import type { RecordHeader } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import type { Told } from '../world/client.ts';
import type { Engineroom } from '../world/stores.ts';
import type { World } from '../world/world.ts';
import { checkAnswers } from './acknowledged.ts';
import { checkCompleted } from './completed.ts';
import { checkErased } from './erased.ts';
import { checkLedger } from './naive-ledger.ts';
import { observe, type Observed } from './observed.ts';
import { checkAuditor, checkSequences, checkStreams } from './sequences.ts';

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

/** In this order: what a later one leans on is held first. Throws LawBroken for the first that does not hold. */
const laws: readonly ((evidence: Evidence) => void)[] = [
  checkCompleted,
  checkStreams,
  checkSequences,
  checkAuditor,
  checkAnswers,
  checkLedger,
  checkErased,
];

export function checkLaws(world: World, told: Told, { wire }: Engineroom): void {
  world.log.compact();
  const evidence: Evidence = {
    log: world.log,
    ledger: world.ledger,
    running: world.running,
    plan: world.plan,
    told,
    observed: observe(world.log),
    rows: (text, parameters) => wire.query(text, parameters).rows,
    committedAtMs: ({ recordedAtMs }) => recordedAtMs,
  };
  for (const law of laws) law(evidence);
}
