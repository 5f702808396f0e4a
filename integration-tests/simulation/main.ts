import { fork } from 'node:child_process';
import { parseArgs } from 'node:util';
import { plantedNamed } from './planted/planted.ts';
import { describeFailure } from './run/describe.ts';
import { addOutcome, addTotals, describeTotals, noTotals, type Totals } from './run/figures.ts';
import { describeCaught, huntAll } from './run/mutations.ts';
import { type RunOutcome, runPlan } from './run/run-plan.ts';
import { runSeeds } from './run/run-seeds.ts';
import { shrink } from './run/shrink.ts';
import { planOf } from './world/plan.ts';
import { type Engineroom, openEngineroom } from './world/stores.ts';

const help = `Seeded simulation of the real services: see integration-tests/simulation/README.md

  --seeds N      how many seeds (default 100)        --from S     the first one (default 0)
  --minutes M    as many seeds as fit instead        --workers W  processes (default 1)
  --seed X       one seed; --trace prints its steps  --shrink     shrinks what fails
  --bug NAME     with a planted bug                  --mutations  hunts every planted bug, prints a table
  --json         figures as JSON, last line`;

const { values: options } = parseArgs({
  options: {
    seeds: { type: 'string', default: '100' },
    from: { type: 'string', default: '0' },
    minutes: { type: 'string' },
    workers: { type: 'string', default: '1' },
    stride: { type: 'string', default: '1' },
    seed: { type: 'string' },
    bug: { type: 'string' },
    trace: { type: 'boolean', default: false },
    shrink: { type: 'boolean', default: false },
    mutations: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

async function tellFailure(engineroom: Engineroom, outcome: RunOutcome): Promise<void> {
  const bug = () => (options.bug === undefined ? {} : plantedNamed(options.bug).plant());
  const again = async (plan: RunOutcome['plan']) => runPlan(plan, { engineroom, bug: bug() });
  const shrunken = options.shrink ? await shrink(outcome, again) : undefined;
  say(describeFailure(outcome, shrunken, options.bug));
}

async function runOne(seed: string): Promise<boolean> {
  const engineroom = await openEngineroom();
  const bug = options.bug === undefined ? {} : plantedNamed(options.bug).plant();
  const outcome = await runPlan(planOf(seed), { engineroom, bug, keepsLines: options.trace });
  for (const line of outcome.lines) say(line);
  if (outcome.broken !== undefined) await tellFailure(engineroom, outcome);
  else say(`seed ${seed} holds every law; trace ${outcome.traceHash}`);
  if (options.json) say(JSON.stringify({ seed, ...outcome.figures, traceHash: outcome.traceHash }));
  return outcome.broken === undefined;
}

/** This process's share of the seeds; failures are told as they come. */
async function runShare(): Promise<Totals> {
  const engineroom = await openEngineroom();
  const totals = noTotals();
  const began = performance.now();
  const forMs = options.minutes === undefined ? undefined : Number(options.minutes) * 60_000;
  const failures: RunOutcome[] = [];
  await runSeeds({
    engineroom,
    from: Number(options.from),
    stride: Number(options.stride),
    mayGoOn: (done) =>
      forMs === undefined ? done < Number(options.seeds) : performance.now() - began < forMs,
    ...(options.bug === undefined ? {} : { plant: plantedNamed(options.bug).plant }),
    told: (outcome) => {
      addOutcome(totals, outcome);
      if (outcome.broken !== undefined) {
        failures.push(outcome);
        say(`seed ${outcome.plan.seed} breaks: ${outcome.broken.law}`);
      }
      return failures.length >= 10;
    },
  });
  for (const outcome of failures) await tellFailure(engineroom, outcome);
  return totals;
}

async function runWorkers(workers: number): Promise<Totals> {
  const totals = noTotals();
  const share = async (index: number): Promise<void> => {
    const seeds = Math.ceil((Number(options.seeds) - index) / workers);
    const given = [
      '--from',
      `${Number(options.from) + index}`,
      '--stride',
      `${workers}`,
      ...(options.minutes === undefined ? ['--seeds', `${seeds}`] : ['--minutes', options.minutes]),
      ...(options.shrink ? ['--shrink'] : []),
      ...(options.bug === undefined ? [] : ['--bug', options.bug]),
    ];
    const worker = fork(import.meta.filename, given);
    await new Promise<void>((resolve, reject) => {
      worker.on('message', (message) => addTotals(totals, message as Totals));
      worker.on('exit', (code) => {
        if (code === 0 || code === 1) resolve();
        else reject(new Error(`worker ${index} ended with ${code}`));
      });
    });
  };
  await Promise.all(Array.from({ length: workers }, async (_, index) => share(index)));
  return totals;
}

async function runMutations(): Promise<boolean> {
  const engineroom = await openEngineroom();
  const seedsMax = Number(options.seeds);
  say(`${'planted bug'.padEnd(32)} ${'caught by'.padEnd(12)} seeds  law`);
  const all = await huntAll(engineroom, Number(options.from), seedsMax, (caught) => {
    say(options.json ? JSON.stringify(caught) : describeCaught(caught));
  });
  const missed = all.filter(({ seed }) => seed === undefined);
  say(`${all.length - missed.length} of ${all.length} planted bugs caught`);
  return missed.length === 0;
}

async function main(): Promise<boolean> {
  if (options.help) {
    say(help);
    return true;
  }
  if (options.mutations) return runMutations();
  if (options.seed !== undefined) return runOne(options.seed);
  const began = performance.now();
  const workers = Number(options.workers);
  const totals = workers > 1 ? await runWorkers(workers) : await runShare();
  if (process.send !== undefined) process.send(totals);
  else say(describeTotals(totals, performance.now() - began));
  if (options.json) say(JSON.stringify(totals));
  return totals.failed === 0;
}

const isFine = await main();
// PGlite keeps handles open.
process.exit(isFine ? 0 : 1);
