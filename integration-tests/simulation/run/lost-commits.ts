import { must } from '../laws/law-broken.ts';
import { observe } from '../laws/observed.ts';
import { checkStreams } from '../laws/sequences.ts';
import type { Engineroom } from '../world/stores.ts';
import type { Loss } from '../world/loss.ts';
import type { World } from '../world/world.ts';

const schema = 'tickets';
const topic = 'tickets.v1';
const partitions = [0, 1];
const stops = 'a log ahead of its table stops the relay';

/** Copies what is committed. */
export function markCommits(world: World, engineroom: Engineroom): void {
  for (const table of engineroom.tables.get(schema) ?? []) {
    run(world, `delete from ${schema}_kept.${table}`);
    run(world, `insert into ${schema}_kept.${table} select * from ${schema}.${table}`);
  }
}

/** The server comes back with what was marked; every connection is gone, and whoever had one starts anew. */
export function loseCommits(world: World, engineroom: Engineroom): Loss {
  for (const instance of ['tickets-a', 'tickets-b'] as const) world.crash(instance, 100);
  for (const table of engineroom.tables.get(schema) ?? []) {
    run(world, `delete from ${schema}.${table}`);
    run(
      world,
      `insert into ${schema}.${table} overriding system value select * from ${schema}_kept.${table}`,
    );
  }
  const ends = partitions.map((partition) => {
    const given = run(
      world,
      `select last_sequence from ${schema}.partition_counters where partition = ${partition}`,
    );
    const logEnd = world.log.partition({ topic, partition }).lastSequence;
    const [counter] = given.rows;
    return { logEnd, isAhead: logEnd > ((counter?.['last_sequence'] as bigint | undefined) ?? 0n) };
  });
  return { ends };
}

/** Throws LawBroken when a relay published behind a log that is ahead, or said nothing, or complained without cause. */
export function checkLoss(world: World, { ends }: Loss): void {
  const said = [...world.running.values()].map(({ service }) => service.problem() ?? '').join();
  for (const [partition, { logEnd, isAhead }] of ends.entries()) {
    const complains = said.includes(`${topic}/${partition} stopped: LOG_AHEAD_OF_TABLE`);
    must(complains === isAhead, stops, () => {
      return `partition ${partition} is ${isAhead ? '' : 'not '}ahead; problem: ${said}`;
    });
    const { lastSequence } = world.log.partition({ topic, partition });
    must(!isAhead || lastSequence === logEnd, stops, () => {
      return `partition ${partition} went on from ${logEnd} to ${lastSequence}`;
    });
  }
  const observed = observe(world.log);
  checkStreams({ observed });
}

function run({ engine }: World, text: string) {
  return engine.execute(schema, undefined, text, []);
}
