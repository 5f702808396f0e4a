import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { sql } from 'kysely';
import { freshDatabase, sharedClickHouse } from '@lethe/analytics/testing/shared-clickhouse.ts';
import { openKeyringKms } from '@lethe/keys/kms/keyring-kms.ts';
import type { Kms } from '@lethe/keys/kms/port.ts';
import { openSqliteEventLog } from '@lethe/platform/event-log/sqlite.ts';
import type { TenantId } from '@lethe/platform/ids/ids.ts';
import { systemClock } from '@lethe/platform/lifecycle/clock.ts';
import { createLogger } from '@lethe/platform/log/logger.ts';
import { createTemporaryFolder } from '@lethe/platform/testing/temporary-folder.ts';
import { openAnyTestDatabases } from '@lethe/platform/testing/test-database.ts';
import { until } from '@lethe/platform/testing/until.ts';
import type { ServiceName } from '@lethe/proto/access.ts';
import {
  AnalyticsServiceService,
  Grain,
  QueryMetricRequest,
} from '@lethe/proto/gen/lethe/analytics/v1/service.ts';
import { AppendOutcome } from '@lethe/proto/gen/lethe/log/v1/append.ts';
import { ErasureGround, ReturningPersons } from '@lethe/proto/gen/lethe/privacy/v1/enums.ts';
import {
  ErasureState,
  PrivacyServiceService,
  RegisterTenantRequest,
  RequestErasureRequest,
} from '@lethe/proto/gen/lethe/privacy/v1/service.ts';
import { RebuildRequest, type RebuildResponse } from '@lethe/proto/gen/lethe/rebuild/v1/service.ts';
import { TicketServiceService } from '@lethe/proto/gen/lethe/tickets/v1/service.ts';
import { messageAdded, newEvent, ticketOpened } from '../harness/ticket-events.ts';
import { type ComposedSystem, startComposedSystem } from '../races/composed-system.ts';

const tenantId = 'a-growing-desk' as TenantId;
const early = Array.from({ length: 40 }, (_, n) => `before-${n}`);
const late = Array.from({ length: 40 }, (_, n) => `after-${n}`);
const few = 3;
const more = 7;

describe('an installation whose partitions become more', function () {
  this.timeout(120_000);
  const folder = createTemporaryFolder('more-partitions');
  const schemaPrefix = `more_partitions_${randomBytes(3).toString('hex')}`;
  const ledgerDatabase = freshDatabase('more-partitions');
  let kms: Kms;
  let system: ComposedSystem | undefined;

  const openLog = (partitions: number) =>
    openSqliteEventLog({
      path: path.join(folder.path, 'log.sqlite'),
      partitions: new Map([
        ['tickets.v1', partitions],
        ['predictions.v1', partitions],
        ['usage.v1', partitions],
        ['privacy.v1', 1],
      ]),
      clock: systemClock,
      logger: createLogger({ service: 'test', level: 'silent' }),
    });
  const startWith = async (partitions: number): Promise<ComposedSystem> => {
    system = await startComposedSystem('more-partitions', await openAnyTestDatabases(), undefined, {
      eventLog: openLog(partitions),
      clickHouse: sharedClickHouse(),
      kms,
      env: {},
      servers: { database: false, ledger: false },
      schemaPrefix,
      ledgerDatabase,
    });
    return system;
  };
  before(async () => {
    kms = await openKeyringKms({ path: path.join(folder.path, 'keyring.json'), randomBytes });
  });
  after(async () => {
    await system?.stop();
    folder.remove();
  });

  it('keeps every stream where it began, and counts each event once', async () => {
    const small = await startWith(few);
    await registerTenant(small);
    await append(small, early);
    await untilCounted(small, early.length, early.length);
    const placed = await placesOf(small, 'tickets');
    await small.stop();

    const large = await startWith(more);
    await append(large, late);
    await appendReplies(large, early);
    await untilCounted(large, early.length + late.length, 2 * early.length + late.length);
    const now = await placesOf(large, 'tickets');
    for (const [token, partition] of placed) assert.equal(now.get(token), partition);
    assert.ok([...placed.values()].every((partition) => partition < few));
    const grown = new Set([...now].filter(([token]) => !placed.has(token)).map(([, at]) => at));
    assert.ok(Math.max(...grown) >= few, 'new tickets use new partitions');
  });

  it('erases who was there before', async () => {
    assert.ok(system !== undefined);
    const { requestErasure, getErasure } = PrivacyServiceService;
    const request = RequestErasureRequest.fromPartial({
      person: { $case: 'personId', value: requesterOf('before-0') },
      ground: ErasureGround.ERASURE_GROUND_CONSENT_WITHDRAWN,
    });
    const { erasure } = await system.call('privacy', requestErasure, request, tenantId);
    const erasureId = erasure?.erasureId ?? '';
    await until(async () => {
      const now = await system?.call('privacy', getErasure, { erasureId }, tenantId);
      return now?.erasure?.state === ErasureState.ERASURE_STATE_COMPLETED;
    }, 60_000);
    await untilCounted(system, early.length + late.length, 2 * early.length + late.length);
  });

  for (const service of ['tickets', 'predictions', 'usage'] as const) {
    it(`is rebuilt from the log as it stands: ${service}`, async () => {
      assert.ok(system !== undefined);
      const report = await checkRebuild(system, service);
      assert.deepEqual(report.firstDifferences, []);
      assert.equal(report.differences, 0n);
    });
  }

  it('does not go back: streams lie in partitions that would have no relay', async () => {
    await system?.stop();
    system = undefined;
    assert.throws(() => openLog(few), {
      reason: 'DATA_FOLDER_NEWER',
      message: /log\.sqlite has 7 partitions of tickets\.v1, and this version knows 3/,
    });
  });
});

function requesterOf(ticket: string): string {
  return `requester-of-${ticket}`;
}

async function registerTenant(system: ComposedSystem): Promise<void> {
  const settings = {
    region: 'test',
    retentionDays: 400,
    returningPersons: ReturningPersons.RETURNING_PERSONS_ALLOW,
  };
  const request = RegisterTenantRequest.fromPartial({ tenantId, settings });
  await system.call('privacy', PrivacyServiceService.registerTenant, request);
}

/** Each ticket is opened and gets a reply. */
async function append(system: ComposedSystem, tickets: readonly string[]): Promise<void> {
  const events = tickets.map((ticket) => newEvent(ticket, ticketOpened(requesterOf(ticket))));
  await accepted(system, events);
  await appendReplies(system, tickets);
}

async function appendReplies(system: ComposedSystem, tickets: readonly string[]): Promise<void> {
  await accepted(
    system,
    tickets.map((ticket) => newEvent(ticket, messageAdded(`a reply to ${ticket}`))),
  );
}

async function accepted(
  system: ComposedSystem,
  events: ReturnType<typeof newEvent>[],
): Promise<void> {
  const { appendTicketEvents } = TicketServiceService;
  const { results } = await system.call('tickets', appendTicketEvents, { events }, tenantId);
  for (const { outcome } of results) {
    assert.equal(outcome, AppendOutcome.APPEND_OUTCOME_ACCEPTED);
  }
}

/** Waits until the ledger has that many, and finds that it has no more once it is complete. */
async function untilCounted(system: ComposedSystem, created: number, replies: number) {
  const sinceMs = Date.now();
  const total = async (metricId: string) => {
    const request = QueryMetricRequest.fromPartial({ metricId, grain: Grain.GRAIN_TOTAL });
    const { queryMetric } = AnalyticsServiceService;
    const answer = await system.call('analytics', queryMetric, request, tenantId);
    return {
      isComplete: (answer.completeUpTo?.getTime() ?? 0) >= sinceMs,
      exact: Number(answer.rows[0]?.exact ?? 0),
    };
  };
  await until(async () => (await total('created')).isComplete, 60_000);
  assert.equal((await total('created')).exact, created);
  assert.equal((await total('replies')).exact, replies);
}

async function placesOf(
  system: ComposedSystem,
  service: ServiceName,
): Promise<ReadonlyMap<string, number>> {
  const { rows } = await sql<{ token: string; partition: number }>`
    select token, partition from streams`.execute(system.schemaOf(service));
  return new Map(rows.map(({ token, partition }) => [token, partition]));
}

async function checkRebuild(system: ComposedSystem, service: ServiceName) {
  const method = system.services
    .get(service)
    ?.publicApi.flatMap(({ methods }) => methods)
    .find(({ definition }) => definition.path.endsWith('/Rebuild'));
  assert.ok(method?.kind === 'serverStream');
  const caller = { kind: 'platform', subject: 'test', roles: ['platform-admin'] } as const;
  const call = { caller, signal: new AbortController().signal };
  let last: RebuildResponse | undefined;
  for await (const step of method.handler(RebuildRequest.fromPartial({ checkOnly: true }), call)) {
    // The handler answers what the method's definition says.
    last = step as RebuildResponse;
  }
  assert.ok(last?.step?.$case === 'report');
  return last.step.value;
}
