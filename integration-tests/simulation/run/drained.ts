import { type Engineroom, schemas } from '../world/stores.ts';
import type { World } from '../world/world.ts';

/** What may still have to be done, as tables with their conditions. */
const unfinished = [
  'tickets.outbox where true',
  'privacy.outbox where true',
  'tickets.partition_counters where batch_row_ids is not null',
  'privacy.partition_counters where batch_row_ids is not null',
  "tickets.erasure_jobs where phase <> 'done'",
  'tickets.receipts where not sent',
  'keys.receipts where not sent',
  'analytics.receipts where not sent',
  'privacy.erasures where is_open',
  "analytics.chunk_manifests where state <> 'done'",
] as const;

const unfinishedCount = `select ${unfinished
  .map((each) => `(select count(*) from ${each})`)
  .join(' + ')} as left`;

/** For the message of a run that does not come to rest. */
export function describeUnfinished({ wire }: Engineroom): string {
  return unfinished
    .flatMap((each) => {
      const left = wire.query(`select count(*) as left from ${each}`, []).rows[0]?.['left'];
      return left === 0n ? [] : [`${String(left)} of ${each}`];
    })
    .join('; ');
}

/** Whether everything that was begun has come to its end: everywhere on the log, applied, erased and certified. */
export function isDrained(world: World, engineroom: Engineroom): boolean {
  const { wire } = engineroom;
  // What is not committed must not be taken for done.
  if (schemas.some((schema) => world.engine.isBusy(schema, undefined))) return false;
  // A loop that failed several times in a row says so until a round succeeds, which may be a while.
  const services = [...world.running.values()];
  if (services.some(({ service }) => service.problem() !== undefined)) return false;
  if (wire.query(unfinishedCount, []).rows[0]?.['left'] !== 0n) return false;
  return [
    ['audit', 'tickets.v1'],
    ['analytics', 'tickets.v1'],
    ['analytics', 'privacy.v1'],
    ['tickets', 'privacy.v1'],
    ['keys', 'privacy.v1'],
  ].every(([schema = '', topic = '']) => {
    const { rows } = wire.query(
      `select partition, next_offset from ${schema}.checkpoints where topic = $1`,
      [topic],
    );
    const reached = new Map(rows.map((row) => [row['partition'], row['next_offset']]));
    const partitions = topic === 'privacy.v1' ? [0] : [0, 1];
    return partitions.every((partition) => {
      const { nextOffset } = world.log.partition({ topic, partition });
      return (reached.get(partition) ?? 0n) === nextOffset;
    });
  });
}
