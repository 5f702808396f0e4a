import { setTimeout as delay } from 'node:timers/promises';
import { randomBytes } from 'node:crypto';
import { createKeyClient } from '@lethe/platform/key-client/key-client.ts';
import type { Peer } from '@lethe/platform/grpc/handler.ts';
import { type Scope, type TenantId, tokenFromBytes } from '@lethe/platform/ids/ids.ts';
import type { KeyClient } from '@lethe/platform/key-client/port.ts';
import { systemClock } from '@lethe/platform/lifecycle/clock.ts';
import { createLogger } from '@lethe/platform/log/logger.ts';
import { KeyServiceService } from '@lethe/proto/gen/lethe/keys/v1/service.ts';
import { ErasureGround } from '@lethe/proto/gen/lethe/privacy/v1/enums.ts';
import {
  PrivacyServiceService,
  RequestErasureRequest,
} from '@lethe/proto/gen/lethe/privacy/v1/service.ts';
import { messageAdded, newEvent, ticketOpened } from '../harness/ticket-events.ts';
import { type Figure, figureOf, type Tell } from './figure.ts';
import { combinePairs, type Pair, quantile, runPairs } from './pairs.ts';
import type { RealPlaces } from './real-places.ts';
import { startSystemUnderLoad, type SystemUnderLoad } from './system-under-load.ts';

const tenantId = 'bench-keys' as TenantId;
const erasures = 50;
/** On a busy machine fewer fit. */
const erasuresForMs = 22_000;
const ticketsPerPerson = 2;
const coldSeals = 3_000;
const coldPairs = 9;

/** What the keys service is asked to be quick at: forgetting, and one new key for many at once. */
export async function measureKeys(
  names: ReadonlySet<string>,
  tell: Tell,
  real: RealPlaces | undefined,
): Promise<void> {
  const load = await startSystemUnderLoad('bench-keys', real);
  await load.registerTenant(tenantId);
  // Before the other: keys must wait for the leases of a holder that went away, as the one below does.
  if (names.has('unreadable') || names.has('unreadable-p50')) {
    (await measureUnreadable(load)).forEach(tell);
  }
  if (names.has('cold-seals') || names.has('cold-seals-time')) {
    (await measureColdSeals(load)).forEach(tell);
  }
  await load.stop();
}

async function measureUnreadable(load: SystemUnderLoad): Promise<readonly Figure[]> {
  const pairs: Pair[] = [];
  const beganMs = performance.now();
  for (let index = 0; index < erasures && performance.now() - beganMs < erasuresForMs; index += 1) {
    const naturalId = `person-${index}`;
    await load.append(tenantId, eventsOf(naturalId));
    const baseline = await bareCommitMs(load);
    pairs.push({ measured: await unreadableAfterMs(load, naturalId), baseline });
  }
  const quantileOf = (side: keyof Pair, q: number) =>
    quantile(
      pairs.map((pair) => pair[side]),
      q,
    );
  const result = combinePairs(pairs);
  const words = { unit: 'ms', notes: [] };
  return [
    figureOf(
      {
        name: 'unreadable',
        ...words,
        what: `unreadable clock, p99 of ${pairs.length} erasures`,
        baselineWhat: 'commit of one bare row, p99',
        target: { sense: 'at most', limit: 5_000, of: 'measured' },
        notes: [
          `from the call of RequestErasure to the moment at which keys says that nobody holds the keys; each person had ${ticketsPerPerson} tickets whose keys tickets still held; earlier erasures go on being purged meanwhile`,
        ],
      },
      { ...result, measured: quantileOf('measured', 0.99), baseline: quantileOf('baseline', 0.99) },
    ),
    figureOf(
      {
        name: 'unreadable-p50',
        ...words,
        what: `unreadable clock, p50 of ${pairs.length} erasures`,
        baselineWhat: 'commit of one bare row, p50',
      },
      result,
    ),
  ];
}

function eventsOf(naturalId: string) {
  return Array.from({ length: ticketsPerPerson }, (_, ticket) => {
    const ticketId = `${naturalId}-${ticket}`;
    return [
      newEvent(ticketId, ticketOpened(naturalId)),
      newEvent(ticketId, messageAdded('An answer', 'agent-of-all')),
    ];
  }).flat();
}

async function bareCommitMs({ bare }: SystemUnderLoad): Promise<number> {
  const beganMs = performance.now();
  await bare
    .insertInto('bare')
    .values({ value: randomBytes(64) })
    .execute();
  return performance.now() - beganMs;
}

async function unreadableAfterMs({ system }: SystemUnderLoad, naturalId: string): Promise<number> {
  const request = RequestErasureRequest.fromPartial({
    person: { $case: 'personId', value: naturalId },
    ground: ErasureGround.ERASURE_GROUND_CONSENT_WITHDRAWN,
  });
  const { requestErasure, getErasure } = PrivacyServiceService;
  const beganMs = Date.now();
  const { erasure } = await system.call('privacy', requestErasure, request, tenantId);
  const erasureId = erasure?.erasureId ?? '';
  for (;;) {
    const answer = await system.call('privacy', getErasure, { erasureId }, tenantId);
    const { unreadableAt } = answer.erasure ?? {};
    if (unreadableAt !== undefined) return Math.max(1, unreadableAt.getTime() - beganMs);
    await delay(20);
  }
}

/** A key client as `tickets` has it, whose Lease calls are counted. */
async function createCounted({ system }: SystemUnderLoad) {
  const peer = system.gates.network.peersFor('tickets')('keys');
  let calls = 0;
  const counting: Peer = {
    unary: async (method, request, options) => {
      if (method.path === KeyServiceService.lease.path) calls += 1;
      return await peer.unary(method, request, options);
    },
    serverStream: (method, request, options) => peer.serverStream(method, request, options),
  };
  const keys: KeyClient = createKeyClient({
    peer: counting,
    holderId: 'bench',
    clock: systemClock,
    logger: createLogger({ service: 'bench', level: 'silent' }),
  });
  await keys.start();
  return { keys, calls: () => calls };
}

async function measureColdSeals(load: SystemUnderLoad): Promise<readonly Figure[]> {
  const { keys, calls } = await createCounted(load);
  const callsPerBurst: number[] = [];
  const burst = (seals: number) => async () => {
    const scope: Scope = { kind: 'person', token: tokenFromBytes(randomBytes(16)) };
    const before = calls();
    const beganMs = performance.now();
    const leases = await Promise.all(
      Array.from({ length: seals }, async () => await keys.leaseForSeal(tenantId, [{ scope }])),
    );
    const tookMs = performance.now() - beganMs;
    if (!leases.every(([lease]) => lease?.granted === true)) throw new Error('a lease was refused');
    if (seals > 1) callsPerBurst.push(calls() - before);
    return tookMs;
  };
  await runPairs(2, burst(coldSeals), burst(1));
  const times = combinePairs(await runPairs(coldPairs, burst(coldSeals), burst(1), 5_000));
  await keys.stop();
  const counts = combinePairs(callsPerBurst.map((measured) => ({ measured, baseline: coldSeals })));
  const what = `${coldSeals.toLocaleString('en-US')} concurrent cold seals of one new key`;
  return [
    figureOf(
      {
        name: 'cold-seals',
        what: `${what}: calls, at most`,
        unit: 'calls',
        baselineWhat: 'one call each',
        target: { sense: 'at most', limit: 1, of: 'measured' },
      },
      { ...counts, measured: Math.max(...callsPerBurst) },
    ),
    figureOf(
      {
        name: 'cold-seals-time',
        what: `${what}: until the last has its lease`,
        unit: 'ms',
        baselineWhat: 'one cold seal alone',
      },
      times,
    ),
  ];
}
