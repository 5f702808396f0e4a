import { readdirSync, readFileSync } from 'node:fs';
import { sql } from 'kysely';
import type { Databases } from '@lethe/platform/database/databases.ts';
import type { RealPlaces } from './real-places.ts';

/** CPU microseconds that each server has used so far, by its name. */
export type ServerCpu = ReadonlyMap<string, number>;

/** How Linux counts, see proc(5): clock ticks of 10 ms. */
const usPerTick = 10_000;

/** Answers a function that looks at the processes of the servers, on this machine and Linux alone. */
export async function watchServerCpu(
  { kafka, clickHouse }: RealPlaces,
  databases: Databases,
): Promise<() => ServerCpu> {
  const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(
    databases.database('bench'),
  );
  const postmaster = parentOf(rows[0]?.pid ?? 0);
  const pids = new Map([
    ['Kafka', kafka?.pid],
    ['PostgreSQL', postmaster],
    ['the ClickHouse front', clickHouse?.pid],
  ]);
  return () =>
    new Map(
      Array.from(pids, ([name, pid]) => [
        name,
        pid === undefined ? 0 : familyTicks(pid) * usPerTick,
      ]),
    );
}

/** How much each has used between two looks, for each of `events`. */
export function cpuBetween(before: ServerCpu, after: ServerCpu, events: number): string {
  const each = Array.from(after, ([name, us]) => {
    const perEvent = (us - (before.get(name) ?? 0)) / events;
    return `${name} ${perEvent.toFixed(0)}`;
  });
  return `µs CPU per event of the servers themselves, which the figure does not count: ${each.join(', ')}`;
}

/** Fields from the third on: the second, the command, may hold spaces. */
function statOf(pid: number): readonly string[] {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
}

function parentOf(pid: number): number {
  return Number(statOf(pid)[1]);
}

/** Its own, those of children that ended and of those that live. */
function familyTicks(pid: number): number {
  const ticks = (fields: readonly string[], from: number, to: number) =>
    fields.slice(from, to).reduce((sum, field) => sum + Number(field), 0);
  const children = readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean),
  );
  const living = children.reduce((sum, child) => {
    try {
      return sum + ticks(statOf(Number(child)), 11, 13);
    } catch {
      // It ended meanwhile: the next look counts it among those that did.
      return sum;
    }
  }, 0);
  return ticks(statOf(pid), 11, 15) + living;
}
