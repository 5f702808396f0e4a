import { setTimeout as delay } from 'node:timers/promises';
import { createPace, type Pace } from '@lethe/cli/calls/pace.ts';
import { type GeneratedTenant, generateHelpDesk } from '@lethe/cli/generator/help-desk.ts';
import type { PatientClient } from '../faults/client.ts';
import { type ErasedPerson, eraseSomebody } from '../faults/erase-in-between.ts';
import { type Acknowledged, createHelpDeskSender } from '../faults/help-desk-sender.ts';
import { modelOf, type TenantModel } from '../faults/model.ts';
import type { RestartPlan } from './plan.ts';
import { createReader, type Reader } from './reads.ts';

/** Appends by stream and by call, reads and erasures, in a bounded rate, until it is told to end. */
export interface Load {
  /** Resolves when what was begun is done after `end`: every event acknowledged, every erasure completed. */
  run(): Promise<void>;
  /** No tenant is begun any more, and those under way are sent without a bound. */
  end(): void;
  /** Events acknowledged so far. */
  acknowledgedEvents(): number;
  /** What was sent of whom; whole once `run` has resolved. */
  readonly models: readonly TenantModel[];
  readonly erased: readonly ErasedPerson[];
  readonly reader: Reader;
  acknowledged(): Acknowledged;
}

/** Small, so that many are on their way at any moment. */
const batchEvents = 8;
const ticketsAtOnce = 5;
const tenantsAtOnce = 4;
const readersAtOnce = 4;
/** More than any run sends; they are generated one by one. */
const helpDesk = { tenants: 384, events: 200_000, days: 60 } as const;
const dayMs = 24 * 60 * 60 * 1000;

export function createLoad(client: PatientClient, plan: RestartPlan): Load {
  const ending = new AbortController();
  const { signal } = ending;
  const events = paceUntil(plan.eventsPerSecond, signal);
  const reads = paceUntil(plan.readsPerSecond, signal);
  const work = createWork(client, plan.seed, events);
  const anchorMs = Math.floor(Date.now() / dayMs) * dayMs;
  const tenants = generateHelpDesk({ seed: plan.seed, anchorMs, ...helpDesk });
  const send = async () => {
    while (!signal.aborted) {
      const next = tenants.next();
      if (next.done === true) throw new RangeError('the help desk is too small for this run');
      await work.sendAndErase(next.value);
    }
  };
  const read = async () => {
    while (!signal.aborted) {
      await reads.turn(1);
      await work.reader.read();
    }
  };
  return {
    ...work,
    end: () => ending.abort(),
    run: async () => {
      const senders = Array.from({ length: tenantsAtOnce }, send);
      const readers = Array.from({ length: readersAtOnce }, read);
      await Promise.all([...senders, ...readers]);
      await work.untilErased();
    },
  };
}

function createWork(client: PatientClient, seed: string, pace: Pace) {
  const models: TenantModel[] = [];
  const erased: ErasedPerson[] = [];
  const following: Promise<unknown>[] = [];
  const reader = createReader(client, seed);
  let acknowledged = 0;
  const sender = createHelpDeskSender(client, {
    gate: {
      open: async () => await pace.turn(batchEvents),
      acknowledge: (count) => {
        acknowledged += count;
      },
    },
    batchEvents,
    ticketsAtOnce,
    callsToo: true,
    onTickets: reader.add,
  });
  const follow = ({ tenantId, erasureId }: ErasedPerson) => {
    const followed = client.follow(tenantId, erasureId);
    following.push(followed);
    // It may fail long before anyone waits for it.
    followed.catch(() => undefined);
  };
  return {
    models,
    erased,
    reader,
    acknowledged: () => sender.acknowledged(),
    acknowledgedEvents: () => acknowledged,
    untilErased: async () => void (await Promise.all(following)),
    sendAndErase: async (tenant: GeneratedTenant) => {
      const model = modelOf(tenant);
      models.push(model);
      reader.expect(model);
      await sender.send(tenant);
      const person = await eraseSomebody(client, seed, tenant, (naturalId) =>
        reader.forget(model.tenantId, naturalId),
      );
      erased.push(person);
      follow(person);
    },
  };
}

/** Lets everybody through at once as soon as the signal fires. */
function paceUntil(perSecond: number, signal: AbortSignal): Pace {
  const clock = {
    nowMs: () => Date.now(),
    monotonicMs: () => performance.now(),
    sleep: async (durationMs: number) => await delay(durationMs, undefined, { signal }),
  };
  const pace = createPace(perSecond, { clock, signal });
  return {
    turn: async (count) => {
      if (signal.aborted) return;
      try {
        await pace.turn(count);
      } catch (error) {
        if (!signal.aborted) throw error;
      }
    },
  };
}
