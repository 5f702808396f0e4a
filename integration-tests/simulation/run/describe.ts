import type { Plan } from '../world/plan.ts';
import type { RunOutcome } from './run-plan.ts';
import type { Shrunken } from './shrink.ts';

const command = 'node integration-tests/simulation/main.ts';

/** What somebody needs who has to find out why a seed failed. */
export function describeFailure(
  outcome: RunOutcome,
  shrunken: Shrunken | undefined,
  bug?: string,
): string {
  const { broken, plan, traceHash } = outcome;
  const lines = [
    `seed ${plan.seed} breaks: ${broken?.law}`,
    `  ${broken?.says}`,
    `  trace ${traceHash} after ${outcome.figures.steps} steps`,
  ];
  if (shrunken !== undefined) {
    lines.push(`  shrunken in ${shrunken.runs} runs to:`, ...describePlan(shrunken.plan));
    lines.push(`  where it says: ${shrunken.outcome.broken?.says}`);
  }
  const planted = bug === undefined ? '' : ` --bug '${bug}'`;
  lines.push(`  replay: ${command} --seed ${plan.seed} --trace${planted}`);
  return lines.join('\n');
}

function describePlan({ instances, tenants, clients, faults }: Plan): string[] {
  const returning = [...tenants].map(([name, { mayReturn }]) =>
    mayReturn ? name : `${name} (nobody returns)`,
  );
  return [
    `    instances: ${instances.join(' ')}; tenants: ${returning.join(', ')}`,
    ...faults.map((fault) => `    fault: ${JSON.stringify(fault)}`),
    ...clients.flatMap((commands, client) =>
      commands.map((each) => `    client ${client}: ${JSON.stringify(each)}`),
    ),
  ];
}
