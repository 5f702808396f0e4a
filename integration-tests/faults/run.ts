import { generateHelpDesk, type GeneratedTenant } from '@lethe/cli/generator/help-desk.ts';
import { checkAll } from './check-all.ts';
import type { CheckedAnswers } from './check-served.ts';
import type { CheckedStores } from './check-stores.ts';
import type { PatientClient } from './client.ts';
import { type ErasedPerson, eraseSomebody, untilCompleted } from './erase-in-between.ts';
import { createGate, type Gate } from './gate.ts';
import { type Acknowledged, createHelpDeskSender } from './help-desk-sender.ts';
import { type DoneFault, runLane } from './inject.ts';
import { modelOf, type TenantModel } from './model.ts';
import { type FaultPlan, lanesOf } from './plan.ts';
import { untilSettled } from './settle.ts';
import type { OwnEnd } from './supervised.ts';
import { versionsOf, withSix, type World } from './with-six.ts';

/** What a run came to. */
export interface FaultRun {
  readonly plan: FaultPlan;
  readonly versions: readonly string[];
  readonly faults: readonly DoneFault[];
  readonly ownEnds: readonly OwnEnd[];
  readonly acknowledged: Acknowledged;
  readonly clientCounts: PatientClient['counts'];
  readonly models: readonly TenantModel[];
  readonly erasures: readonly CompletedErasure[];
  readonly answers: readonly CheckedAnswers[];
  readonly stores: CheckedStores;
  readonly processesLeft: readonly number[];
  readonly violations: readonly string[];
  /** From the first event to the last acknowledgement; until everything was counted; from the last to the end. */
  readonly tookMs: {
    readonly sending: number;
    readonly settling: number;
    readonly checking: number;
  };
}

export interface CompletedErasure {
  readonly atEvents: number;
  readonly unreadableAfterMs: number;
  readonly purgedAfterMs: number;
}

export interface FaultRunWish {
  readonly plan: FaultPlan;
  readonly vaultBinary: string;
  readonly say: (line: string) => void;
}

const tenantsAtOnce = 3;
const erasureWithinMs = 10 * 60_000;

/** Starts everything, lets it happen, counts. Whatever it throws, nothing is left running. */
export async function runFaults({ plan, vaultBinary, say }: FaultRunWish): Promise<FaultRun> {
  return await withSix({ vaultBinary, say }, async (world) => await happen(plan, world));
}

async function happen(plan: FaultPlan, world: World): Promise<Omit<FaultRun, 'processesLeft'>> {
  const { six, services, client, say } = world;
  const { seed, events, tenants, days } = plan;
  const dayMs = 24 * 60 * 60 * 1000;
  const anchorMs = Math.floor(Date.now() / dayMs) * dayMs;
  const helpDesk = [...generateHelpDesk({ seed, anchorMs, tenants, days, events })];
  const gate = createGate();
  const sender = createHelpDeskSender(client, { gate });
  const faults: DoneFault[] = [];
  const beganMs = performance.now();
  const erased = await withFaults(plan, world, gate, faults, async () => {
    return await sendAndErase(plan, world, gate, helpDesk, sender.send);
  });
  const sentMs = performance.now();
  say(`all events are acknowledged after ${seconds(sentMs - beganMs)}; it settles`);
  await untilSettled(six, [...services.values()]);
  const erasures = await completed(client, erased);
  const settledMs = performance.now();
  say(`settled after ${seconds(settledMs - sentMs)}; everything is counted`);
  const models = helpDesk.map(modelOf);
  const acknowledged = sender.acknowledged();
  const persons = erased.map(({ person }) => person);
  const { answers, stores, violations } = await checkAll(six, client, {
    models,
    erased: persons,
    acknowledged,
  });
  return {
    plan,
    versions: versionsOf(six),
    faults,
    ownEnds: [...services.values()].flatMap(({ ownEnds }) => ownEnds),
    acknowledged,
    clientCounts: client.counts,
    models,
    erasures,
    answers,
    stores,
    violations,
    tookMs: {
      sending: sentMs - beganMs,
      settling: settledMs - sentMs,
      checking: performance.now() - settledMs,
    },
  };
}

/** Makes the faults while `work` goes on; whichever fails ends the other. */
async function withFaults<Result>(
  plan: FaultPlan,
  { six, services, pids, say }: World,
  gate: Gate,
  faults: DoneFault[],
  work: () => Promise<Result>,
): Promise<Result> {
  const ports = {
    six,
    services,
    gate,
    plan,
    onPid: (pid: number) => void pids.add(pid),
    onDone: (done: DoneFault) => {
      faults.push(done);
      const service = 'service' in done.fault ? ` (${done.fault.service})` : '';
      const name = `${done.fault.kind}${service}`;
      say(`${faults.length}: ${name} at ${done.atEvents} events, over in ${seconds(done.tookMs)}`);
    },
  };
  const all = [
    work(),
    ...lanesOf(plan).map(async (lane, number) => await runLane(ports, number, lane)),
  ] as const;
  for (const each of all) {
    each.catch((error: unknown) => {
      gate.fail(error);
    });
  }
  await Promise.all(all);
  return await all[0];
}

interface Requested {
  readonly person: ErasedPerson;
  readonly atEvents: number;
}

/** A few tenants at a time; the first ones have a person erased as soon as all of their events are there. */
async function sendAndErase(
  plan: FaultPlan,
  { client, say }: World,
  gate: Gate,
  helpDesk: readonly GeneratedTenant[],
  send: (tenant: GeneratedTenant) => Promise<void>,
): Promise<readonly Requested[]> {
  const erased: Requested[] = [];
  const left = helpDesk.entries();
  const work = async () => {
    for (const [index, tenant] of left) {
      await send(tenant);
      if (index >= plan.erasures) continue;
      const person = await eraseSomebody(client, plan.seed, tenant);
      erased.push({ person, atEvents: gate.acknowledged() });
      say(`erasure ${person.erasureId} requested at ${gate.acknowledged()} events`);
    }
  };
  await Promise.all(Array.from({ length: tenantsAtOnce }, work));
  return erased;
}

async function completed(
  client: PatientClient,
  requested: readonly Requested[],
): Promise<readonly CompletedErasure[]> {
  const done: CompletedErasure[] = [];
  for (const { person, atEvents } of requested) {
    const { requestedAt, unreadableAt, purgedAt } = await untilCompleted(
      client,
      person,
      erasureWithinMs,
    );
    const since = (at: Date | undefined) => (at?.getTime() ?? NaN) - (requestedAt?.getTime() ?? 0);
    done.push({
      atEvents,
      unreadableAfterMs: since(unreadableAt),
      purgedAfterMs: since(purgedAt),
    });
  }
  return done;
}

function seconds(durationMs: number): string {
  return `${(durationMs / 1_000).toFixed(1)} s`;
}
