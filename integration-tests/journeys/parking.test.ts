import assert from 'node:assert/strict';
import type { CallContext } from '@lethe/platform/grpc/handler.ts';
import type { TenantId } from '@lethe/platform/ids/ids.ts';
import { until } from '@lethe/platform/testing/until.ts';
import { wrapLog } from '@lethe/platform/testing/wrapped-log.ts';
import type { ServiceName } from '@lethe/proto/access.ts';
import {
  AnalyticsServiceService,
  Grain,
  QueryMetricRequest,
} from '@lethe/proto/gen/lethe/analytics/v1/service.ts';
import { AppendOutcome } from '@lethe/proto/gen/lethe/log/v1/append.ts';
import {
  AnalyticsParkingServiceService,
  GetParkedStreamRequest,
  ListParkedStreamsRequest,
  PredictionsParkingServiceService,
  ReplayParkedStreamsRequest,
  type ReplayParkedStreamsResponse,
  ReplayState,
} from '@lethe/proto/gen/lethe/parking/v1/service.ts';
import { ErasureGround, ReturningPersons } from '@lethe/proto/gen/lethe/privacy/v1/enums.ts';
import {
  ErasureState,
  PrivacyServiceService,
  RegisterTenantRequest,
  RequestErasureRequest,
} from '@lethe/proto/gen/lethe/privacy/v1/service.ts';
import { eventShapes } from '@lethe/proto/gen/shapes.ts';
import { Priority, TicketStatus } from '@lethe/proto/gen/lethe/tickets/v1/enums.ts';
import {
  type NewTicketEvent,
  TicketServiceService,
} from '@lethe/proto/gen/lethe/tickets/v1/service.ts';
import {
  csatGiven,
  message,
  newEvent,
  opened,
  priorityChanged,
  statusChanged,
} from '@lethe/tickets/testing/sample-events.ts';
import { type ComposedSystem, startComposedSystem } from '../races/composed-system.ts';

const poisoned = 'poisoned-desk' as TenantId;
const sound = 'sound-desk' as TenantId;
const tickets = 8;
const newerTickets = new Set([2, 5]);
const services = {
  analytics: AnalyticsParkingServiceService,
  predictions: PredictionsParkingServiceService,
} as const;
type Parking = keyof typeof services;

/**
 * A ticket service of a newer version writes TicketOpened in schema version 2 for two tickets; analytics and predictions
 * of this version park both, are upgraded, and replay. The sound desk sends the same events, all of them in version 1.
 */
describe('records of a newer schema', function () {
  this.timeout(180_000);
  let system: ComposedSystem;
  let isHeld = false;

  before(async () => {
    system = await startComposedSystem('journey-parking', undefined, (log) =>
      wrapLog(log, async (poll, options) => {
        if (!isHeld) return await poll(options);
        await new Promise((resolve) => setTimeout(resolve, 20));
        return [];
      }),
    );
    for (const tenantId of [poisoned, sound]) {
      const returningPersons = ReturningPersons.RETURNING_PERSONS_ALLOW;
      const settings = { region: 'test', retentionDays: 400, returningPersons };
      const request = RegisterTenantRequest.fromPartial({ tenantId, settings });
      await system.call('privacy', PrivacyServiceService.registerTenant, request);
    }
  });
  after(async () => {
    writeVersion(1);
    await system.stop();
  });

  /** In which schema version this process writes and reads TicketOpened. */
  function writeVersion(version: number): void {
    assert.ok(Reflect.set(eventShapes['TicketOpened'] ?? {}, 'schemaVersion', version));
  }

  async function append(tenantId: TenantId, events: NewTicketEvent[]): Promise<void> {
    const { appendTicketEvents } = TicketServiceService;
    const { results } = await system.call('tickets', appendTicketEvents, { events }, tenantId);
    assert.ok(results.every(({ outcome }) => outcome === AppendOutcome.APPEND_OUTCOME_ACCEPTED));
  }

  function eventsOf(ticket: number): readonly NewTicketEvent[] {
    const id = `T-${ticket}`;
    return [
      newEvent(id, `${id}/open`, 0, opened(`u-${ticket}`)),
      newEvent(id, `${id}/reply`, 7, message('a-1')),
      newEvent(id, `${id}/priority`, 9, priorityChanged(Priority.PRIORITY_HIGH)),
      newEvent(id, `${id}/solved`, 20, statusChanged(TicketStatus.TICKET_STATUS_SOLVED)),
      newEvent(id, `${id}/csat`, 30, csatGiven(4)),
    ];
  }

  async function appendAll(tenantId: TenantId, newer: ReadonlySet<number>): Promise<void> {
    for (let ticket = 0; ticket < tickets; ticket += 1) {
      writeVersion(newer.has(ticket) ? 2 : 1);
      await append(tenantId, [...eventsOf(ticket)]);
    }
    writeVersion(1);
  }

  const list = async (service: Parking) =>
    await system.call(
      service,
      services[service].listParkedStreams,
      ListParkedStreamsRequest.create(),
    );

  async function replay(service: Parking): Promise<readonly ReplayParkedStreamsResponse[]> {
    const { path, requestSerialize, requestDeserialize } = services[service].replayParkedStreams;
    const registered = system.services
      .get(service satisfies ServiceName)
      ?.publicApi.flatMap(({ methods }) => methods)
      .find(({ definition }) => definition.path === path);
    assert.ok(registered?.kind === 'serverStream');
    const call: CallContext = {
      caller: { kind: 'platform', subject: 'op', roles: ['platform-admin'] },
      signal: new AbortController().signal,
    };
    const request = requestDeserialize(requestSerialize(ReplayParkedStreamsRequest.create()));
    const steps: ReplayParkedStreamsResponse[] = [];
    // The handler answers what the method's definition says.
    for await (const step of registered.handler(request, call)) {
      steps.push(step as ReplayParkedStreamsResponse);
    }
    return steps;
  }

  async function query(tenantId: TenantId, metricId: string, dimension: string) {
    const dimensions = dimension === '' ? [] : [dimension];
    const request = { metricId, grain: Grain.GRAIN_DAY, dimensions };
    return await system.call(
      'analytics',
      AnalyticsServiceService.queryMetric,
      QueryMetricRequest.fromPartial(request),
      tenantId,
    );
  }

  /** Every metric, exact and accepted, by day and the dimension it needs. */
  async function figures(tenantId: TenantId) {
    const { listMetrics } = AnalyticsServiceService;
    const { metrics } = await system.call('analytics', listMetrics, {}, tenantId);
    const all: Record<string, unknown> = {};
    for (const { id, requiredDimension } of metrics) {
      all[id] = (await query(tenantId, id, requiredDimension)).rows;
    }
    return all;
  }

  /** Until the figures hold all that was recorded before now, but for what is parked. */
  async function complete(tenantId: TenantId): Promise<void> {
    const momentMs = Date.now();
    await until(async () => {
      const { completeUpTo } = await query(tenantId, 'created', '');
      return (completeUpTo?.getTime() ?? 0) > momentMs;
    }, 60_000);
  }

  it('are parked with their tickets, the others go on, and answers say what may be missing', async () => {
    isHeld = true;
    await appendAll(poisoned, newerTickets);
    await appendAll(sound, new Set());
    isHeld = false;
    await complete(poisoned);
    const { rows, parked } = await query(poisoned, 'created', '');
    assert.equal(rows[0]?.exact, BigInt(tickets - newerTickets.size));
    const { streams, eventsInAll } = await list('analytics');
    assert.equal(parked, eventsInAll);
    assert.ok(parked >= 5n * BigInt(newerTickets.size));
    assert.equal((await query(sound, 'created', '')).parked, 0n);
    assert.deepEqual(
      streams.map(({ reason, ref }) => [reason, ref?.tenantId]),
      [...newerTickets].map(() => ['RECORD_NEWER', poisoned]),
    );
    const [first] = streams;
    const { events } = await system.call(
      'analytics',
      AnalyticsParkingServiceService.getParkedStream,
      GetParkedStreamRequest.fromPartial({ ref: first?.ref }),
    );
    assert.deepEqual(
      events.slice(0, 2).map(({ type, schemaVersion, reason }) => [type, schemaVersion, reason]),
      [
        ['TicketOpened', 2, 'RECORD_NEWER'],
        ['MessageAdded', 1, 'STREAM_PARKED'],
      ],
    );
    await until(async () => (await list('predictions')).streams.length === newerTickets.size);
    for (const service of system.services.values()) assert.equal(service.problem(), undefined);
    const totals = await system.call('analytics', AnalyticsServiceService.getPlatformTotals, {});
    assert.equal(totals.parked, parked);
  });

  it('stay parked while the version stays', async () => {
    for (const service of ['analytics', 'predictions'] as const) {
      const before = await list(service);
      const steps = await replay(service);
      assert.deepEqual(
        steps.map(({ state, applied, reason }) => [state, applied, reason]),
        before.streams.map(() => [ReplayState.REPLAY_STATE_STILL_PARKED, 0n, 'RECORD_NEWER']),
      );
      assert.deepEqual(await list(service), before);
    }
  });

  it('give after the upgrade and a replay what an undisturbed run gives, in both services', async () => {
    writeVersion(2);
    try {
      for (const service of ['analytics', 'predictions'] as const) {
        const ends = (await replay(service)).filter(
          ({ state }) => state !== ReplayState.REPLAY_STATE_RUNNING,
        );
        assert.equal(ends.length, newerTickets.size);
        assert.ok(ends.every(({ state }) => state === ReplayState.REPLAY_STATE_DONE));
        assert.equal((await list(service)).eventsInAll, 0n);
      }
      assert.deepEqual(await figures(poisoned), await figures(sound));
      assert.equal((await query(poisoned, 'created', '')).parked, 0n);
    } finally {
      writeVersion(1);
    }
  });

  it('are dropped with their person, and the certificate says what the ledger lacks', async () => {
    isHeld = true;
    writeVersion(2);
    await append(poisoned, [newEvent('T-9', 'T-9/open', 0, opened('u-9'))]);
    writeVersion(1);
    await append(poisoned, [newEvent('T-9', 'T-9/reply', 3, message('a-1'))]);
    isHeld = false;
    for (const service of ['analytics', 'predictions'] as const) {
      await until(async () => (await list(service)).streams.length === 1);
    }
    const before = await figures(poisoned);
    const { eventsInAll } = await list('analytics');
    const request = RequestErasureRequest.fromPartial({
      person: { $case: 'personId', value: 'u-9' },
      ground: ErasureGround.ERASURE_GROUND_CONSENT_WITHDRAWN,
    });
    const { requestErasure, getErasure } = PrivacyServiceService;
    const { erasure } = await system.call('privacy', requestErasure, request, poisoned);
    const erasureId = erasure?.erasureId ?? '';
    const state = async () =>
      (await system.call('privacy', getErasure, { erasureId }, poisoned)).erasure;
    await until(
      async () => (await state())?.state === ErasureState.ERASURE_STATE_COMPLETED,
      60_000,
    );
    for (const service of ['analytics', 'predictions'] as const) {
      assert.equal((await list(service)).eventsInAll, 0n);
      assert.deepEqual(await replay(service), []);
    }
    const receipts = (await state())?.receipts ?? [];
    const ofAnalytics = receipts.find(({ service }) => service === 'analytics');
    assert.equal(ofAnalytics?.rows, eventsInAll);
    assert.equal(ofAnalytics.ledgerComplete, false);
    assert.deepEqual(await figures(poisoned), before);
    await complete(poisoned);
  });
});
