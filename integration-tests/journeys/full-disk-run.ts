import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createSeededRandom, type SeededRandom } from '@lethe/cli/generator/random.ts';
import { Grain } from '@lethe/proto/gen/lethe/analytics/v1/service.ts';
import { AppendOutcome } from '@lethe/proto/gen/lethe/log/v1/append.ts';
import { ReturningPersons } from '@lethe/proto/gen/lethe/privacy/v1/enums.ts';
import { PrivacyServiceService } from '@lethe/proto/gen/lethe/privacy/v1/service.ts';
import {
  type NewTicketEvent,
  TicketServiceService,
} from '@lethe/proto/gen/lethe/tickets/v1/service.ts';
import { mintOf } from '../harness/access-tokens.ts';
import { CallFailure, openApi } from '../harness/api.ts';
import { figuresComplete, queryMetric } from '../harness/figures.ts';
import { createProcessKeeper, type Ended, type ProcessKeeper } from '../harness/processes.ts';
import { NotStarted, type RunningServer, startServer } from '../harness/server.ts';
import { violationsIn } from '../harness/stored-laws.ts';
import { messageAdded, newEvent, ticketOpened } from '../harness/ticket-events.ts';
import { mountSmallVolume, type SmallVolume } from './full-disk-volume.ts';

/** What one filling of the disk did; printed as one line of JSON. */
export interface FullDiskRound {
  readonly round: number;
  /** Room that was left when the filling began. */
  readonly leftBytes: number;
  /** Accepted while the disk filled. */
  readonly acknowledged: number;
  /** What callers were answered, by reason or gRPC code, and how often. */
  readonly refusals: Readonly<Record<string, number>>;
  /** How the server ended by itself; undefined when it served on. */
  readonly ended: Ended | undefined;
  /** The last line of its log. */
  readonly lastWords: string;
  /** Whether it took what it had refused once there was room; undefined when it was not let. */
  readonly wentOn: boolean | undefined;
  /** Starts that were refused while the disk was full, by reason. */
  readonly startsRefused: readonly string[];
  /** Events that were acknowledged and not found again. */
  readonly lost: readonly string[];
  /** Of the tenant: what was acknowledged in all, and what the figures count. */
  readonly events: number;
  readonly counted: number;
  readonly violations: readonly string[];
}

const tenantId = 'full-disk';
const volumeMegabytes = 200;
const batchEvents = 20;
const batchesMax = 400;
const refusalsEnough = 6;
/** For a server that is about to end. */
const graceMs = 1_500;

const { appendTicketEvents } = TicketServiceService;
const accepted = AppendOutcome.APPEND_OUTCOME_ACCEPTED;
const duplicate = AppendOutcome.APPEND_OUTCOME_DUPLICATE;

/** Everything that outlasts a server. */
interface World {
  readonly keeper: ProcessKeeper;
  readonly volume: SmallVolume;
  readonly dataFolder: string;
  readonly logFile: string;
  readonly random: SeededRandom;
  /** By event id. */
  readonly acknowledged: Map<string, NewTicketEvent>;
  readonly refused: Map<string, NewTicketEvent>;
}

const start = async ({ keeper, dataFolder, logFile }: World): Promise<RunningServer> =>
  await startServer(keeper, { dataFolder, logFile, env: { LETHE_LOG_LEVEL: 'info' } });

async function append(
  world: World,
  { address }: RunningServer,
  events: readonly NewTicketEvent[],
): Promise<string | undefined> {
  const api = openApi(address);
  const token = mintOf(world.dataFolder).mint({ tenant: tenantId, roles: ['writer', 'reader'] });
  try {
    const { results } = await api.unary(appendTicketEvents, { events: [...events] }, token);
    results.forEach(({ outcome, eventId }, index) => {
      const event = events[index];
      if (event === undefined || (outcome !== accepted && outcome !== duplicate)) {
        throw new Error(`event ${eventId} was answered ${outcome}`);
      }
      world.acknowledged.set(eventId, event);
      world.refused.delete(eventId);
    });
    return undefined;
  } catch (error) {
    if (!(error instanceof CallFailure)) throw error;
    for (const event of events) {
      if (event.id?.$case === 'eventId') world.refused.set(event.id.value, event);
    }
    return error.reason === '' ? error.code : error.reason;
  } finally {
    api.close();
  }
}

function nextBatch({ random }: World, round: number, batch: number): readonly NewTicketEvent[] {
  const ticket = `ticket-${round}-${batch}`;
  const body = 'x'.repeat(random.integer(200, 6_000));
  return Array.from({ length: batchEvents }, (_, index) =>
    newEvent(ticket, index === 0 ? ticketOpened(`requester-${batch}`) : messageAdded(body)),
  );
}

async function runRound(world: World, round: number): Promise<FullDiskRound> {
  const { volume, random, logFile } = world;
  const server = await start(world);
  if (round === 1) await registerTenant(world, server);
  for (let batch = 0; batch < 5; batch += 1) {
    await append(world, server, nextBatch(world, round, batch));
  }
  const leftBytes = random.integer(0, 15) * 1024 * 1024 + random.integer(0, 200) * 4096;
  volume.leaveFree(leftBytes);
  const before = world.acknowledged.size;
  const refusals = await appendUntilRefused(world, server, round);
  const acknowledged = world.acknowledged.size - before;
  const ended = await Promise.race([server.ended, delay(graceMs, undefined)]);
  const lastWords = readFileSync(logFile, 'utf8').trimEnd().split('\n').at(-1) ?? '';
  const startsRefused: string[] = [];
  let wentOn: boolean | undefined;
  if (ended === undefined && random.chance(0.5)) {
    // It goes on by itself, and then dies without having been asked.
    volume.makeRoom();
    wentOn = await goesOn(world, server);
    await server.killNine();
  } else {
    if (ended === undefined) await server.killNine();
    startsRefused.push(...(await startOnFullDisk(world)));
    volume.makeRoom();
  }
  const seen = {
    round,
    leftBytes,
    acknowledged,
    refusals,
    ended,
    lastWords,
    wentOn,
    startsRefused,
  };
  return { ...seen, ...(await check(world)) };
}

/** Appends until the disk is full and the server has refused often enough, or has ended. */
async function appendUntilRefused(
  world: World,
  server: RunningServer,
  round: number,
): Promise<Readonly<Record<string, number>>> {
  const refusals: Record<string, number> = {};
  let refused = 0;
  for (let batch = 5; batch < batchesMax && refused < refusalsEnough; batch += 1) {
    if (!server.isRunning()) break;
    const refusal = await append(world, server, nextBatch(world, round, batch));
    if (refusal === undefined) continue;
    refused += 1;
    refusals[refusal] = (refusals[refusal] ?? 0) + 1;
    await delay(200);
  }
  return refusals;
}

/** What was refused is taken once there is room; answers whether that came about. */
async function goesOn(world: World, server: RunningServer): Promise<boolean> {
  const events = [...world.refused.values()].slice(0, batchEvents);
  for (let attempt = 1; attempt <= 20; attempt += 1) {
    if ((await append(world, server, events)) === undefined) return true;
    await delay(500);
  }
  return false;
}

/** A start may succeed with hardly any room; one that does not is answered with its reason. */
async function startOnFullDisk(world: World): Promise<readonly string[]> {
  try {
    await (await start(world)).killNine();
    return [];
  } catch (error) {
    if (!(error instanceof NotStarted)) throw error;
    return [`${error.reason}: ${error.message}`];
  }
}

async function registerTenant({ dataFolder }: World, { address }: RunningServer): Promise<void> {
  const api = openApi(address);
  const settings = {
    region: 'test',
    retentionDays: 400,
    returningPersons: ReturningPersons.RETURNING_PERSONS_ALLOW,
  };
  const admin = mintOf(dataFolder).mint({ roles: ['platform-admin'] });
  await api.unary(PrivacyServiceService.registerTenant, { tenantId, settings }, admin);
  api.close();
}

/** With room again: what was acknowledged is known, what was refused is taken, and the figures add up. */
async function check(
  world: World,
): Promise<Pick<FullDiskRound, 'lost' | 'events' | 'counted' | 'violations'>> {
  const server = await start(world);
  const api = openApi(server.address);
  const token = mintOf(world.dataFolder).mint({ tenant: tenantId, roles: ['writer', 'reader'] });
  const lost: string[] = [];
  const all = [...world.acknowledged.values()];
  for (let from = 0; from < all.length; from += 200) {
    const events = all.slice(from, from + 200);
    const { results } = await api.unary(appendTicketEvents, { events }, token);
    lost.push(...results.flatMap((one) => (one.outcome === duplicate ? [] : [one.eventId])));
  }
  const again = [...world.refused.values()];
  for (let from = 0; from < again.length; from += batchEvents) {
    const refusal = await append(world, server, again.slice(from, from + batchEvents));
    if (refusal !== undefined) throw new Error(`refused with room again: ${refusal}`);
  }
  await figuresComplete(api, token, Grain.GRAIN_TOTAL);
  let counted = 0;
  for (const metricId of ['created', 'replies']) {
    const { rows } = await queryMetric(api, token, { metricId, grain: Grain.GRAIN_TOTAL });
    for (const { exact } of rows) counted += Number(exact);
  }
  api.close();
  await server.stop();
  const violations = await violationsIn(world.dataFolder);
  return { lost, events: world.acknowledged.size, counted, violations };
}

/** Arguments: the folder to mount at, the seed, the number of rounds. */
async function main([folder = '', seed = '', rounds = '']: readonly string[]): Promise<void> {
  const volume = mountSmallVolume(join(folder, 'volume'), volumeMegabytes);
  const world: World = {
    keeper: createProcessKeeper(),
    volume,
    dataFolder: join(volume.folder, 'data'),
    logFile: join(folder, 'server.log'),
    random: createSeededRandom(seed),
    acknowledged: new Map(),
    refused: new Map(),
  };
  try {
    for (let round = 1; round <= Number(rounds); round += 1) {
      process.stdout.write(`${JSON.stringify(await runRound(world, round))}\n`);
    }
  } finally {
    await world.keeper.stopAll();
  }
}

// Whoever started this holds its stdin: it must not outlive them.
process.stdin.on('end', () => process.exit(1)).resume();
await main(process.argv.slice(2));
process.exit(0);
