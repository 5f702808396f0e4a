import type { Told } from '../world/client.ts';
import type { Engineroom } from '../world/stores.ts';
import type { World } from '../world/world.ts';
import { checkAnswers } from './acknowledged.ts';
import { checkCompleted } from './completed.ts';
import { checkErased } from './erased.ts';
import type { Evidence } from './evidence.ts';
import { checkLedger } from './naive-ledger.ts';
import { observe } from './observed.ts';
import { checkAuditor, checkSequences, checkStreams } from './sequences.ts';

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
