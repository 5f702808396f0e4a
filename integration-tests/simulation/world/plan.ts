import { createRandom, type Random } from '../core/random.ts';
import type { Command, WishedEvent } from './commands.ts';
import { planFaults } from './plan-faults.ts';
import type { Fault, InstanceName } from './fault-plan.ts';

/** Everything that a run does, made of its seed; shrinking takes parts away. */
export interface Plan {
  readonly seed: string;
  readonly instances: readonly InstanceName[];
  /** Per tenant whether an erased person may come back. */
  readonly tenants: ReadonlyMap<string, { readonly mayReturn: boolean }>;
  /** By client: one command after another. */
  readonly clients: readonly (readonly Command[])[];
  readonly faults: readonly Fault[];
}

const persons = ['ada', 'ben', 'cy'] as const;
const laterKinds = ['reply', 'reply', 'answer', 'solved', 'reopened', 'csat', 'escalated'] as const;

/** A small world: few people, few tickets, a few dozen events, one to three erasures, up to six faults. */
export function planOf(seed: string): Plan {
  const random = createRandom(`plan ${seed}`);
  const tenants = new Map(
    Array.from({ length: random.chance(0.15) ? 2 : 1 }, (_, index) => [
      `tenant-${index}`,
      { mayReturn: random.chance(0.75) },
    ]),
  );
  const instances = instancesOf(random);
  const clients = [...tenants.keys()].flatMap((tenant, index) =>
    planTenant(random, tenant, `${index}`),
  );
  return { seed, instances, tenants, clients, faults: planFaults(random, instances) };
}

function instancesOf(random: Random): InstanceName[] {
  const second: InstanceName[] = ['analytics-b', 'audit-b'];
  return [
    'keys',
    'privacy',
    'tickets-a',
    'analytics-a',
    'audit-a',
    ...(random.chance(0.45) ? (['tickets-b'] as const) : []),
    ...second.filter(() => random.chance(0.3)),
  ];
}

/** One client writes, another writes too and asks for erasures. */
function planTenant(random: Random, tenant: string, tag: string): Command[][] {
  const tickets = Array.from({ length: 3 + random.whole(4) }, (_, index) => ({
    ticket: `T-${tag}-${index}`,
    person: random.pick(persons),
    // Some are of people who come back later: beyond every cut-off and skew.
    minute: random.chance(0.3) ? 120 + index : index - 60,
  }));
  const opening = tickets.map(({ ticket, person, minute }): WishedEvent => ({
    source: `open ${ticket}`,
    ticket,
    kind: 'opened',
    person,
    minute,
  }));
  const later = Array.from({ length: 8 + random.whole(16) }, (_, index): WishedEvent => {
    const { ticket, person, minute } = random.pick(tickets);
    const author = random.chance(0.2) ? random.pick(persons) : person;
    const kind = random.pick(laterKinds);
    return { source: `${tag} ${index}`, ticket, kind, person: author, minute: minute + index };
  });
  const writers: Command[][] = [[], []];
  const events = [...opening, ...later];
  // Tickets are opened all along; what comes before its ticket is unknown and tried again.
  for (const event of opening) {
    if (random.chance(0.5)) continue;
    events.splice(events.indexOf(event), 1);
    events.splice(random.whole(events.length), 0, event);
  }
  while (events.length > 0) {
    const batch = events.splice(0, 1 + random.whole(6));
    writers[random.whole(2)]?.push({ kind: 'append', tenant, events: withRepeats(random, batch) });
  }
  // Somebody imports again what was imported before.
  for (const commands of writers) {
    const again = commands[random.whole(commands.length)];
    if (again !== undefined && random.chance(0.3)) writers[random.whole(2)]?.push(again);
  }
  const erasures = 1 + random.whole(3);
  for (let index = 0; index < erasures; index += 1) {
    const commands = writers[random.whole(2)] ?? [];
    const erase: Command = { kind: 'erase', tenant, person: random.pick(persons) };
    commands.splice(random.whole(commands.length + 1), 0, erase);
  }
  return writers.map((commands) => withPauses(random, commands));
}

/** A re-import sends what was sent before; a muddled one sends something else under its name. */
function withRepeats(random: Random, events: readonly WishedEvent[]): WishedEvent[] {
  return events.flatMap((event): WishedEvent[] => {
    if (random.chance(0.1)) return [event, event];
    if (random.chance(0.06) && event.kind !== 'opened') {
      return [event, { ...event, minute: event.minute + 1 }];
    }
    return [event];
  });
}

function withPauses(random: Random, commands: readonly Command[]): Command[] {
  return commands.flatMap((command): Command[] =>
    random.chance(0.3) ? [command, { kind: 'wait', forMs: random.whole(1_500) }] : [command],
  );
}
