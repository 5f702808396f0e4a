import type { RunPlace } from './on-systems.ts';
import type { FaultRun } from './run.ts';
import { fullPlan, type FaultKind } from './plan.ts';

/** A section for docs/operators/fault-runs.md. */
export function reportText(run: FaultRun, place: RunPlace): string {
  const { plan, acknowledged, clientCounts, models, stores, tookMs, violations } = run;
  const sent = models.reduce((sum, { events }) => sum + events, 0);
  const known = [...acknowledged.ids.values()].reduce((sum, ids) => sum + ids.size, 0);
  const records = [...stores.records].map(([topic, count]) => `${topic} ${thousands(count)}`);
  const rows: readonly (readonly [string, string])[] = [
    ['when, on what', `${place.date}, commit ${place.commit}; ${place.machine}`],
    ['seed', plan.seed],
    ['systems', run.versions.join(', ')],
    ['events sent', `${thousands(sent)} in ${models.length} tenants`],
    [
      'answers',
      `${thousands(acknowledged.accepted)} accepted, ${thousands(acknowledged.duplicates)} duplicate (sent again after a lost answer); ${clientCounts.streams} streams, ${clientCounts.startedOver} times after the client's tries were over`,
    ],
    ...faultRows(run),
    ['ended by themselves, and started again', ownEndsText(run)],
    ['took', `${seconds(tookMs.sending)} to send, ${seconds(tookMs.settling)} to settle`],
    ['acknowledged ids in index and log', `${thousands(known)} of ${thousands(sent)}`],
    [
      'records on the log',
      `${records.join(', ')}; ${thousands(Number(stores.erasedSequences))} sequences erased`,
    ],
    ['figures by day equal to the model', `${thousands(sum(run, 'figures'))}`],
    [
      'tickets equal to the model',
      `${thousands(sum(run, 'tickets'))}, ${thousands(sum(run, 'erasedTickets'))} of them erased`,
    ],
    ['erasures in between', erasuresText(run)],
    ['processes left over', `${run.processesLeft.length}`],
    [
      '**lost, applied twice, out of order, gaps, wrong figures**',
      `**${violations.length}**${violations.length === 0 ? '' : `: ${violations.slice(0, 20).join('; ')}`}`,
    ],
  ];
  const table = rows.map(([what, value]) => `| ${what} | ${value} |`).join('\n');
  return `| | |\n|---|---|\n${table}\n`;
}

function faultRows({ faults }: FaultRun): readonly (readonly [string, string])[] {
  const kinds = Object.keys(fullPlan.counts) as readonly FaultKind[];
  return kinds.map((kind) => {
    const ofKind = faults.filter(({ fault }) => fault.kind === kind);
    const tookMs = ofKind.map((each) => each.tookMs).toSorted((a, b) => a - b);
    const median = tookMs[Math.floor(tookMs.length / 2)] ?? 0;
    const longest = tookMs.at(-1) ?? 0;
    const byService = Map.groupBy(ofKind, ({ fault }) => ('service' in fault ? fault.service : ''));
    const services = [...byService]
      .filter(([service]) => service !== '')
      .map(([service, some]) => `${service} ${some.length}`);
    const which = services.length === 0 ? '' : ` (${services.join(', ')})`;
    return [
      kind,
      `${ofKind.length}${which}; served again after ${seconds(median)} in the median, ${seconds(longest)} at most`,
    ];
  });
}

function ownEndsText({ ownEnds }: FaultRun): string {
  const byReason = Map.groupBy(ownEnds, ({ service, reason }) => `${service}: ${reason}`);
  return [...byReason].map(([why, some]) => `${some.length} × ${why}`).join('; ') || '0';
}

function erasuresText({ erasures }: FaultRun): string {
  return erasures
    .map(
      ({ atEvents, unreadableAfterMs, purgedAfterMs }) =>
        `at ${thousands(atEvents)} events: unreadable after ${seconds(unreadableAfterMs)}, purged after ${seconds(purgedAfterMs)}, completed`,
    )
    .join('; ');
}

function sum({ answers }: FaultRun, what: 'figures' | 'tickets' | 'erasedTickets'): number {
  return answers.reduce((total, each) => total + each[what], 0);
}

function thousands(count: number): string {
  return count.toLocaleString('en-US');
}

function seconds(durationMs: number): string {
  return `${(durationMs / 1_000).toFixed(1)} s`;
}
