import type { Random } from '../core/random.ts';
import type { Fault, InstanceName } from './fault-plan.ts';

/** A run without faults has about this many steps while its clients are at work. */
const busySteps = 900;

type Maker = (random: Random, instance: InstanceName, atStep: number) => Fault;

const lost = ['answer-lost', 'never-arrived'] as const;

/** As often as they stand here. */
const makers: readonly Maker[] = [
  crash,
  crash,
  crash,
  (random, instance, atStep) => ({ kind: 'commit', instance, atStep, fate: random.pick(lost) }),
  (random, instance, atStep) => ({ kind: 'commit', instance, atStep, fate: random.pick(lost) }),
  (random, _, atStep) => {
    const instance = random.pick(['privacy', 'tickets-a', 'tickets-b'] as const);
    return { kind: 'append', instance, atStep, fate: random.pick(lost) };
  },
  (random, _, atStep) => {
    const instance = random.pick(['analytics-a', 'analytics-b'] as const);
    return { kind: 'ledger', instance, atStep, fate: random.pick(lost) };
  },
  (random, instance, atStep) => {
    const fate = random.pick(['request-lost', 'answer-lost'] as const);
    return { kind: 'call', instance, atStep, fate };
  },
  clientCall,
  clientCall,
  slowAppend,
  slowAppend,
  (random, instance, atStep) => ({
    kind: 'pause',
    instance,
    atStep,
    forMs: random.pick([50, 1_000, 8_000, 40_000]),
  }),
  (random, _, atStep) => {
    const instance = random.pick(['privacy', 'tickets-a', 'tickets-b'] as const);
    return { kind: 'zombie', instance, atStep, forMs: random.pick([500, 3_000, 20_000]) };
  },
  (_, instance, atStep) => ({ kind: 'break-connections', instance, atStep }),
  (random, instance, atStep) => ({
    kind: 'clock-jump',
    instance,
    atStep,
    byMs: random.pick([-3_600_000, -20_000, -500, 500, 20_000, 3_600_000]),
  }),
  slowCommit,
  slowCommit,
  slowCommit,
  (random, _, atStep) => ({
    kind: 'deaf',
    instance: random.pick(['tickets-a', 'tickets-b'] as const),
    atStep,
    forMs: random.pick([2_000, 4_500, 9_000]),
  }),
  cutOff,
  cutOff,
  (random, _, atStep) => ({ kind: 'keys-away', atStep, forMs: random.pick([200, 3_000, 15_000]) }),
  delivery,
  delivery,
  (_, __, atStep) => ({ kind: 'compact', atStep }),
];

function crash(random: Random, instance: InstanceName, atStep: number): Fault {
  return { kind: 'crash', instance, atStep, downMs: random.pick([10, 500, 4_000]) };
}

function clientCall(random: Random, _: InstanceName, atStep: number): Fault {
  const instance = random.pick(['client-0', 'client-1'] as const);
  const fate = random.pick(['request-lost', 'answer-lost', 'answer-lost'] as const);
  return { kind: 'client-call', instance, atStep, fate };
}

function slowAppend(random: Random, _: InstanceName, atStep: number): Fault {
  const instance = random.pick(['tickets-a', 'tickets-b'] as const);
  return { kind: 'slow-append', instance, atStep, forMs: random.pick([1_500, 5_000]) };
}

function slowCommit(random: Random, _: InstanceName, atStep: number): Fault {
  const instance = random.pick(['tickets-a', 'tickets-a', 'tickets-a', 'keys'] as const);
  return { kind: 'slow-commit', instance, atStep, forMs: random.pick([2_500, 6_000]) };
}

function cutOff(random: Random, _: InstanceName, atStep: number): Fault {
  const instance = random.pick(['tickets-a', 'tickets-b'] as const);
  return { kind: 'cut-off', instance, atStep, forMs: random.pick([3_000, 8_000, 12_000]) };
}

function delivery(random: Random, _: InstanceName, atStep: number): Fault {
  const instance = random.pick([
    'tickets-a',
    'analytics-a',
    'audit-a',
    'keys',
    'analytics-b',
  ] as const);
  const kind = random.pick(['again', 'fewer', 'left-out', 'reassigned'] as const);
  return { kind: 'delivery', instance, atStep, delivery: kind, times: 1 + random.whole(4) };
}

/** How many of the runs have a database that loses commits; they are judged by a law of their own. */
const lossShare = 0.05;

function planLoss(random: Random): Fault[] {
  const markedAt = random.whole(busySteps);
  return [
    { kind: 'mark-commits', atStep: markedAt },
    { kind: 'lose-commits', atStep: markedAt + 20 + random.whole(300) },
  ];
}

/** Up to seven, each at a step of its own; about one run in ten has none. */
export function planFaults(random: Random, instances: readonly InstanceName[]): Fault[] {
  if (random.chance(lossShare)) return planLoss(random);
  const count = random.chance(0.1) ? 0 : 1 + random.whole(7);
  return Array.from({ length: count }, () => {
    const atStep = random.whole(busySteps);
    return random.pick(makers)(random, random.pick(instances), atStep);
  }).toSorted((left, right) => left.atStep - right.atStep);
}
