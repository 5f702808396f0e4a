import type { RunPlace } from '../faults/on-systems.ts';
import type { Restart, RestartRun } from './run.ts';

/** A section for docs/operators/fault-runs.md. */
export function reportText(run: RestartRun, place: RunPlace): string {
  const { plan, acknowledged, clientCounts, models, restarts, stores, tookMs, violations } = run;
  const sent = sum(models.map(({ events }) => events));
  const known = sum([...acknowledged.ids.values()].map((ids) => ids.size));
  const { calls, streams, retries, longestMs, gaveUpOn } = clientCounts;
  const reads = [...run.reads].map(([name, count]) => `${name} ${thousands(count)}`);
  const drains = restarts.map(({ drainMs }) => drainMs);
  const away = restarts.map(({ untilServingMs }) => untilServingMs);
  const rows: readonly (readonly [string, string])[] = [
    ['when, on what', `${place.date}, commit ${place.commit}; ${place.machine}`],
    ['seed', plan.seed],
    ['systems', run.versions.join(', ')],
    ['restarts', `${restarts.length} (${byService(restarts)}) in ${seconds(tookMs.restarting)}`],
    ['exit codes other than 0', `${restarts.filter(({ exitCode }) => exitCode !== 0).length}`],
    [
      `drain, of it ${seconds(plan.drainDelayMs)} \`LETHE_DRAIN_DELAY_MS\``,
      distributionText(drains),
    ],
    ['from SIGTERM until its successor served', distributionText(away)],
    [
      'load',
      `${thousands(sent)} events of ${models.length} tenants in messages of 8, half by stream, half by call; ${run.erasures} erasures; reads: ${reads.join(', ')}`,
    ],
    [
      'calls and streams',
      `${thousands(calls)} and ${thousands(streams)}; tried again ${thousands(retries)} times, one of them for ${seconds(longestMs)} at most`,
    ],
    ['**failed for the client**', `**${gaveUpOn.length}**${listed(gaveUpOn)}`],
    [
      'answers',
      `${thousands(acknowledged.accepted)} accepted, ${thousands(acknowledged.duplicates)} duplicate (sent again after a lost answer)`,
    ],
    ['acknowledged ids in index and log', `${thousands(known)} of ${thousands(sent)}`],
    [
      'records on the log',
      [...stores.records].map(([topic, count]) => `${topic} ${thousands(count)}`).join(', '),
    ],
    [
      'figures by day equal to the model',
      thousands(sum(run.answers.map(({ figures }) => figures))),
    ],
    [
      'tickets equal to the model',
      `${thousands(sum(run.answers.map(({ tickets }) => tickets)))}, ${thousands(sum(run.answers.map(({ erasedTickets }) => erasedTickets)))} of them erased`,
    ],
    ['ended by themselves, left over', `${run.ownEnds.length}, ${run.processesLeft.length}`],
    [
      '**lost, applied twice, out of order, gaps, wrong figures, wrong answers**',
      `**${violations.length}**${listed(violations)}`,
    ],
  ];
  const table = rows.map(([what, value]) => `| ${what} | ${value} |`).join('\n');
  return `| | |\n|---|---|\n${table}\n`;
}

/**
 * The smallest value that so great a share of them does not exceed: one that was measured, and of few values the largest,
 * which is what a bound is held against. (bench/pairs.ts `quantile` lies between two.)
 */
export function nearestRank(values: readonly number[], share: number): number {
  const sorted = values.toSorted((left, right) => left - right);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? NaN;
}

function distributionText(someMs: readonly number[]): string {
  const at = (share: number) => seconds(nearestRank(someMs, share));
  return `median ${at(0.5)}, p90 ${at(0.9)}, p99 ${at(0.99)}, longest ${at(1)}`;
}

function byService(restarts: readonly Restart[]): string {
  return [...Map.groupBy(restarts, ({ service }) => service)]
    .map(([service, some]) => `${service} ${some.length}`)
    .join(', ');
}

function listed(problems: readonly string[]): string {
  return problems.length === 0 ? '' : `: ${problems.slice(0, 20).join('; ')}`;
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0);
}

function thousands(count: number): string {
  return count.toLocaleString('en-US');
}

function seconds(durationMs: number): string {
  return `${(durationMs / 1_000).toFixed(1)} s`;
}
