import { type Engineroom, schemas } from '../world/stores.ts';
import type { World } from '../world/world.ts';

/** One number: what is still to be done. Asked of the stores directly, between two steps. */
const unfinished = `select
  (select count(*) from tickets.outbox) + (select count(*) from privacy.outbox)
  + (select count(*) from tickets.partition_counters where batch_row_ids is not null)
  + (select count(*) from privacy.partition_counters where batch_row_ids is not null)
  + (select count(*) from tickets.erasure_jobs where phase <> 'done')
  + (select count(*) from tickets.receipts where not sent)
  + (select count(*) from keys.receipts where not sent)
  + (select count(*) from analytics.receipts where not sent)
  + (select count(*) from privacy.erasures where is_open)
  + (select count(*) from analytics.chunk_manifests where state <> 'done') as left`;

/** Whether everything that was begun has come to its end: everywhere on the log, applied, erased and certified. */
export function isDrained(world: World, engineroom: Engineroom): boolean {
  const { wire } = engineroom;
  // What is not committed must not be taken for done.
  if (schemas.some((schema) => world.engine.isBusy(schema, undefined))) return false;
  // A loop that failed several times in a row says so until a round succeeds, which may be a while.
  const services = [...world.running.values()];
  if (services.some(({ service }) => service.problem() !== undefined)) return false;
  if (wire.query(unfinished, []).rows[0]?.['left'] !== 0n) return false;
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
