import { setTimeout as delay } from 'node:timers/promises';
import type { TenantId } from '@lethe/platform/ids/ids.ts';
import { cpuUsOf } from './cpu-time.ts';
import { figureOf, type Tell } from './figure.ts';
import { combinePairs, runPairs, type Side } from './pairs.ts';
import { sealingSwitch } from './sealing-switch.ts';
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
export async function measureCpuPerEvent(_names: ReadonlySet<string>, tell: Tell): Promise<void> {
  const load = await startSystemUnderLoad('bench-cpu');
  await load.registerTenant(tenantId);
  const side = createRounds(load);
  await runPairs(1, side(true), side(false));
  const idle = await idleNote();
  const result = combinePairs(await runPairs(pairs, side(true), side(false), pairsForMs));
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
      ],
    },
    result,
  );
  // Told before what may still fail, and again with what it adds.
  tell(figure);
  tell({ ...figure, notes: [...figure.notes, await timedRound(side(true))] });
  await load.stop();
}

function createRounds(load: SystemUnderLoad): (isOn: boolean) => Side {
  let rounds = 0;
  return (isOn) => async () => {
    rounds += 1;
    // New tickets each time: no round opens what another one sealed.
    const events = ticketsOfLoad(`round-${rounds}`, ticketsPerRound);
    const perCall = ticketsPerCall * eventsPerTicket;
    sealingSwitch.isOn = isOn;
    const tookUs = await cpuUsOf(async () => {
      for (let start = 0; start < events.length; start += perCall) {
        await load.append(tenantId, events.slice(start, start + perCall));
      }
      await load.drained();
    });
    sealingSwitch.isOn = true;
    return tookUs / eventsPerRound;
  };
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
