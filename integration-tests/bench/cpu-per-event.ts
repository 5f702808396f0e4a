import { setTimeout as delay } from 'node:timers/promises';
import type { TenantId } from '@lethe/platform/ids/ids.ts';
import { cpuUsOf } from './cpu-time.ts';
import { type Figure, figureOf, type Tell } from './figure.ts';
import { combinePairs, runPairs, type Side } from './pairs.ts';
import type { RealPlaces } from './real-places.ts';
import { sealingSwitch } from './sealing-switch.ts';
import { cpuBetween, watchServerCpu } from './server-cpu.ts';
import {
  eventsPerTicket,
  startSystemUnderLoad,
  type SystemUnderLoad,
  ticketsOfLoad,
} from './system-under-load.ts';

const pairs = 10;
/** As many pairs as fit, ten at most; a quiet machine needs a third of it. */
const pairsForMs = 40_000;
const ticketsPerRound = 50;
const ticketsPerCall = 10;
const eventsPerRound = ticketsPerRound * eventsPerTicket;
const tenantId = 'bench-sealing' as TenantId;

/** CPU from append to ledger, with sealing and without, in the same process over the same stores. */
export async function measureCpuPerEvent(
  _names: ReadonlySet<string>,
  tell: Tell,
  real: RealPlaces | undefined,
): Promise<void> {
  const load = await startSystemUnderLoad('bench-cpu', real);
  await load.registerTenant(tenantId);
  const { side, rates } = createRounds(load);
  await runPairs(1, side(true), side(false));
  const idle = await idleNote();
  const servers = real && (await watchServerCpu(real, load.databases));
  const serversBefore = servers?.();
  rates.splice(0);
  const result = combinePairs(await runPairs(pairs, side(true), side(false), pairsForMs));
  const counted = rates.length * eventsPerRound;
  const serversNote =
    servers === undefined || serversBefore === undefined
      ? []
      : [cpuBetween(serversBefore, servers(), counted)];
  const figure = figureOf(
    {
      name: 'cpu-per-event',
      what: 'append → relay → log → ledger, 1 KB events, with sealing',
      unit: 'µs CPU',
      baselineWhat: 'the same with sealing switched off in the benchmark',
      target: { sense: 'at most', limit: 1.05, of: 'ratio' },
      notes: [
        'off means: ciphers, nonces, tags and associated data are left out by replacing two modules when they are loaded; leases, key rows, digests and contributors stay. No gRPC: calls go in without a socket, so the share is an upper bound.',
        idle,
        ...serversNote,
      ],
    },
    result,
  );
  tell(rateFigure(rates));
  // Told before what may still fail, and again with what it adds.
  tell(figure);
  tell({ ...figure, notes: [...figure.notes, await timedRound(side(true))] });
  await load.stop();
}

/** How fast a round was, by the wall clock. */
interface Rate {
  readonly isOn: boolean;
  readonly eventsPerSecond: number;
}

interface Rounds {
  readonly side: (isOn: boolean) => Side;
  /** Of the rounds so far. */
  readonly rates: Rate[];
}

function createRounds(load: SystemUnderLoad): Rounds {
  let rounds = 0;
  const rates: Rate[] = [];
  const side = (isOn: boolean) => async () => {
    rounds += 1;
    // New tickets each time: no round opens what another one sealed.
    const events = ticketsOfLoad(`round-${rounds}`, ticketsPerRound);
    const perCall = ticketsPerCall * eventsPerTicket;
    sealingSwitch.isOn = isOn;
    const beganMs = performance.now();
    const tookUs = await cpuUsOf(async () => {
      for (let start = 0; start < events.length; start += perCall) {
        await load.append(tenantId, events.slice(start, start + perCall));
      }
      await load.drained();
    });
    const tookMs = performance.now() - beganMs;
    sealingSwitch.isOn = true;
    rates.push({ isOn, eventsPerSecond: (eventsPerRound * 1_000) / tookMs });
    return tookUs / eventsPerRound;
  };
  return { side, rates };
}

/** Both sides of a pair lie next to each other, in either order. */
function rateFigure(rates: readonly Rate[]): Figure {
  const of = (isOn: boolean, index: number) =>
    rates.slice(index, index + 2).find((rate) => rate.isOn === isOn)?.eventsPerSecond ?? 0;
  const each = rates.flatMap((_, index) =>
    index % 2 === 0 ? [{ measured: of(true, index), baseline: of(false, index) }] : [],
  );
  return figureOf(
    {
      name: 'sealing-rate',
      what: 'append → relay → log → ledger, one caller, with sealing',
      unit: 'events/s',
      baselineWhat: 'the same with sealing switched off in the benchmark',
      notes: [
        `the rounds of cpu-per-event by the wall clock: calls of ${ticketsPerCall * eventsPerTicket} events one after another, then until the last is in the ledger`,
      ],
    },
    combinePairs(each),
  );
}

const idleForMs = 2_000;

/** Loops that only wait cost something too, on both sides of a pair, and the more the longer a round takes. */
async function idleNote(): Promise<string> {
  const idleUs = await cpuUsOf(async () => await delay(idleForMs));
  const percent = (idleUs / (idleForMs * 10)).toFixed(1);
  return `with nothing to do the six services take ${percent} % of a core; a round includes that.`;
}

/** A second way to the same share, which does not rest on a difference: the time spent in the calls themselves. */
async function timedRound(round: Side): Promise<string> {
  Object.assign(sealingSwitch, { isTimed: true, boxes: 0, tookUs: 0 });
  const cpuUs = await round();
  sealingSwitch.isTimed = false;
  const boxes = sealingSwitch.boxes / eventsPerRound;
  const tookUs = sealingSwitch.tookUs / eventsPerRound;
  const percent = ((tookUs / cpuUs) * 100).toFixed(1);
  return `one more round with a clock around each call: ${boxes.toFixed(1)} boxes sealed or opened per event took ${tookUs.toFixed(0)} µs CPU of its ${cpuUs.toFixed(0)} µs, ${percent} %.`;
}
