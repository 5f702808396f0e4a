import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { TenantId } from '@lethe/platform/ids/ids.ts';
import { systemClock } from '@lethe/platform/lifecycle/clock.ts';
import { openTelemetry } from '@lethe/platform/telemetry/open-telemetry.ts';
import { cpuUsOf } from './cpu-time.ts';
import { eventsPerTicket, startSystemUnderLoad, ticketsOfLoad } from './system-under-load.ts';

/**
 * The process of one side of telemetry-cost.ts: `telemetry-side.ts NAME [ENDPOINT RATIO]`, all six services with
 * telemetry to a sink or without any. Runs a round whenever it is told to, and tells what that took.
 */

export const ticketsPerRound = 100;
export const eventsPerRound = ticketsPerRound * eventsPerTicket;
/** How often metrics and spans are sent. */
export const exportEveryMs = 1_000;
/** After what was appended is in the ledger: what a round queued is sent within it. */
export const settleMs = exportEveryMs * 1.2;
const ticketsPerCall = 10;
const tenantId = 'bench-telemetry' as TenantId;

/** What a side tells: that it is there, or what a round took. */
export type SideMessage = { readonly isReady: true } | { readonly usPerEvent: number };

function telemetryTo(endpoint: string | undefined, ratio: string | undefined) {
  if (endpoint === undefined) return undefined;
  const config = {
    endpoint: new URL(endpoint),
    authority: undefined,
    headers: new Map(),
    traceRatio: Number(ratio),
    intervalMs: exportEveryMs,
    instance: 'bench',
  };
  const onUndelivered = () => {
    throw new Error('the sink did not take telemetry');
  };
  return openTelemetry(config, {
    name: 'standalone',
    clock: systemClock,
    randomBytes,
    onUndelivered,
  });
}

async function serve([name = '', endpoint, ratio]: readonly string[]): Promise<void> {
  const tell = (message: SideMessage) => process.send?.(message);
  const load = await startSystemUnderLoad(name, undefined, telemetryTo(endpoint, ratio)?.of);
  await load.registerTenant(tenantId);
  let rounds = 0;
  const round = async () => {
    rounds += 1;
    const events = ticketsOfLoad(`round-${rounds}`, ticketsPerRound);
    const perCall = ticketsPerCall * eventsPerTicket;
    const tookUs = await cpuUsOf(async () => {
      for (let start = 0; start < events.length; start += perCall) {
        await load.append(tenantId, events.slice(start, start + perCall));
      }
      await load.drained();
      await delay(settleMs);
    });
    tell({ usPerEvent: tookUs / eventsPerRound });
  };
  process.on('message', () => void round());
  // Whoever told it to is gone.
  process.once('disconnect', () => process.exit(0));
  tell({ isReady: true });
}

if (process.argv[1] === import.meta.filename) await serve(process.argv.slice(2));
