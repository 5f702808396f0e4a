import { createSeededRandom, type SeededRandom } from '@lethe/cli/generator/random.ts';
import { type ServiceName, serviceNames } from '@lethe/proto/access.ts';

/** How much of everything; what happens when follows from the seed. */
export interface FaultPlan {
  readonly seed: string;
  /** About so many events of a generated help desk. */
  readonly events: number;
  readonly tenants: number;
  readonly days: number;
  readonly counts: Readonly<Record<FaultKind, number>>;
  /** Persons whose erasure is requested while all this goes on. */
  readonly erasures: number;
  /** For how long Vault stays sealed, milliseconds. */
  readonly sealedMs: number;
  /** For how long a consumer is stopped; its session with Kafka times out after 10 s. */
  readonly stoppedMs: number;
}

export type FaultKind = Fault['kind'];

/** What is done to the system once so many events were acknowledged. */
export type Fault =
  | { readonly kind: 'service kill'; readonly service: ServiceName }
  | { readonly kind: 'broker kill' }
  | { readonly kind: 'PostgreSQL kill' }
  | { readonly kind: 'Vault sealed' }
  | { readonly kind: 'consumer stopped'; readonly service: ServiceName }
  | {
      readonly kind: 'second instance';
      readonly service: ServiceName;
      /** While both are there the first is killed. */
      readonly killsFirst: boolean;
      /** How the second ends. */
      readonly ending: 'SIGTERM' | 'SIGKILL';
    };

export interface PlannedFault {
  readonly fault: Fault;
  /** Acknowledged events after which its turn has come. */
  readonly atEvents: number;
}

/** Faults that wait for each other; lanes do not. */
export type Lane = readonly PlannedFault[];

/** What the whole run is: the numbers that docs/operators/fault-runs.md reports. */
export const fullPlan: Omit<FaultPlan, 'seed'> = {
  events: 200_000,
  tenants: 12,
  days: 90,
  counts: {
    'service kill': 100,
    'broker kill': 10,
    'PostgreSQL kill': 5,
    'Vault sealed': 2,
    'consumer stopped': 10,
    'second instance': 10,
  },
  erasures: 3,
  sealedMs: 60_000,
  stoppedMs: 14_000,
};

/** A share of everything, and of each at least one. */
export function scaledPlan(share: number): Omit<FaultPlan, 'seed'> {
  if (share >= 1) return fullPlan;
  const { events, counts, erasures } = fullPlan;
  const scaled = (count: number) => Math.max(1, Math.round(count * share));
  return {
    events: scaled(events),
    tenants: 6,
    days: 60,
    counts: {
      'service kill': scaled(counts['service kill']),
      'broker kill': scaled(counts['broker kill']),
      'PostgreSQL kill': scaled(counts['PostgreSQL kill']),
      'Vault sealed': scaled(counts['Vault sealed']),
      'consumer stopped': scaled(counts['consumer stopped']),
      'second instance': scaled(counts['second instance']),
    },
    erasures: scaled(erasures),
    sealedMs: 10_000,
    stoppedMs: 14_000,
  };
}

/** Killings of services · what befalls the systems · what befalls single processes otherwise. */
export function lanesOf(plan: FaultPlan): readonly Lane[] {
  const random = createSeededRandom(`faults/${plan.seed}`);
  const { counts } = plan;
  const repeat = (count: number, fault: () => Fault): Fault[] =>
    Array.from({ length: count }, fault);
  const killed = servicesInTurn(random);
  const stopped = servicesInTurn(random);
  const doubled = servicesInTurn(random);
  const lanes: Fault[][] = [
    repeat(counts['service kill'], () => ({ kind: 'service kill', service: killed() })),
    shuffled(random, [
      ...repeat(counts['broker kill'], () => ({ kind: 'broker kill' })),
      ...repeat(counts['PostgreSQL kill'], () => ({ kind: 'PostgreSQL kill' })),
      ...repeat(counts['Vault sealed'], () => ({ kind: 'Vault sealed' })),
    ]),
    shuffled(random, [
      ...repeat(counts['consumer stopped'], () => ({
        kind: 'consumer stopped',
        service: stopped(),
      })),
      ...repeat(counts['second instance'], () => ({
        kind: 'second instance',
        service: doubled(),
        killsFirst: random.chance(0.5),
        ending: random.chance(0.5) ? 'SIGTERM' : 'SIGKILL',
      })),
    ]),
  ];
  return lanes.map((faults) => spread(random, faults, plan.events));
}

/** Over the whole of the events but the first and the last few. */
function spread(random: SeededRandom, faults: readonly Fault[], events: number): Lane {
  return faults.map((fault, index) => {
    const share = (index + random.integer(0, 99) / 100) / faults.length;
    return { fault, atEvents: Math.floor(events * (0.02 + 0.9 * share)) };
  });
}

/** Each service as often as any other. */
export function servicesInTurn(random: SeededRandom): () => ServiceName {
  let left: ServiceName[] = [];
  return () => {
    if (left.length === 0) left = shuffled(random, serviceNames);
    const [next, ...others] = left;
    if (next === undefined) throw new RangeError('there is no service');
    left = others;
    return next;
  };
}

export function shuffled<Item>(random: SeededRandom, items: readonly Item[]): Item[] {
  const left = [...items];
  return items.map(() => left.splice(random.integer(0, left.length - 1), 1)).flat();
}
