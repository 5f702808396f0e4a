import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import {
  AnalyticsServiceService,
  type GetPlatformTotalsResponse,
  QueryMetricRequest,
  type QueryMetricResponse,
} from '@lethe/proto/gen/lethe/analytics/v1/service.ts';
import { SequenceServiceService } from '@lethe/proto/gen/lethe/log/v1/service.ts';
import { PrivacyEvent, ScopesErased } from '@lethe/proto/gen/lethe/privacy/v1/events.ts';
import type { ErasureReceipt } from '@lethe/proto/gen/lethe/privacy/v1/service.ts';
import { topicNamed } from '@lethe/proto/topics.ts';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { LogReader } from '@lethe/platform/event-log/port.ts';
import type { Caller, MethodDefinition } from '@lethe/platform/grpc/handler.ts';
import { createInProcessNetwork, type InProcessNetwork } from '@lethe/platform/grpc/in-process.ts';
import { registerService } from '@lethe/platform/grpc/register.ts';
import type { TenantId } from '@lethe/platform/ids/ids.ts';
import { systemClock } from '@lethe/platform/lifecycle/clock.ts';
import type { Service } from '@lethe/platform/lifecycle/service.ts';
import { createLogger } from '@lethe/platform/log/logger.ts';
import { emptyRecord, recordWrite } from '@lethe/platform/testing/log-records.ts';
import { until } from '@lethe/platform/testing/until.ts';
import { type AroundPoll, wrapLog } from '@lethe/platform/testing/wrapped-log.ts';
import { createAnalytics } from './app.ts';
import { parseConfig } from './config.ts';
import { freshDatabase, sharedClickHouse } from './testing/shared-clickhouse.ts';
import {
  countedTopics,
  createProjectionWorld,
  type ProjectionWorld,
} from './testing/projection-world.ts';
import { sampleEvent } from './testing/sample-events.ts';
import { sealRecord } from './testing/sealed-records.ts';
import { testKeyService, testReceiptService } from './testing/test-peers.ts';

const acme = 'acme' as TenantId;
const reader: Caller = { kind: 'tenant', tenantId: acme, subject: 'r', roles: ['reader'] };
const erasureId = '01890000-0000-7000-8000-000000000002';

describe('analytics, composed', () => {
  let world: ProjectionWorld;
  let analytics: Service;
  let network: InProcessNetwork;
  const ledgerName = freshDatabase('app');
  /** Readers that failed and never read again, as those of Kafka do; while `breaking`, each that is used becomes one. */
  const broken = new Set<LogReader>();
  let breaking = false;
  const receipts: ErasureReceipt[] = [];
  const asOf = new Date(Date.UTC(2025, 4, 2));

  before(async function () {
    this.timeout(60_000);
    world = await createProjectionWorld('app');
    network = createInProcessNetwork();
    network.register('keys', [testKeyService(() => [])]);
    network.register('privacy', [testReceiptService(receipts), sequenceService('privacy.v1')]);
    for (const topic of countedTopics) {
      network.register(topicNamed(topic).owner, [sequenceService(topic)]);
    }
    analytics = composed(ledgerName);
    await analytics.start();
  });

  after(async () => {
    await analytics.stop();
    await world.destroy();
  });

  function composed(ledgerDatabase: string, env: Readonly<Record<string, string>> = {}): Service {
    const settings = {
      LETHE_ANALYTICS_CHUNK_FILL_MS: '5',
      LETHE_ANALYTICS_COMPLETENESS_POLL_MS: '10',
      ...env,
    };
    return createAnalytics(parseConfig(settings), {
      db: world.db,
      eventLog: wrapLog(world.log, breakable),
      clickHouse: sharedClickHouse(),
      ledgerDatabase,
      peers: network.peersFor('analytics'),
      clock: systemClock,
      randomBytes,
      logger: createLogger({ service: 'analytics', level: 'silent' }),
    });
  }

  const breakable: AroundPoll = async (poll, options, logReader) => {
    if (breaking) broken.add(logReader);
    if (broken.has(logReader)) throw new ServiceError('STORE_UNAVAILABLE');
    return poll(options);
  };

  function sequenceService(topic: string) {
    return registerService(SequenceServiceService, {
      missing: async () => ({ erased: [] }),
      heads: async () => {
        const ends = await world.log.endOffsets(topic);
        const heads = ends.map((end, partition) => ({ partition, sequence: end }));
        return { heads, asOf };
      },
    });
  }

  async function call<Request, Response>(
    definition: MethodDefinition<Request, Response>,
    request: Request,
  ): Promise<Response> {
    const methods = analytics.publicApi.flatMap((registration) => registration.methods);
    const method = methods.find((each) => each.definition.path === definition.path);
    assert.ok(method?.kind === 'unary');
    const { signal } = new AbortController();
    const response = await method.handler(request, { caller: reader, signal });
    return definition.responseDeserialize(definition.responseSerialize(response as Response));
  }

  const query = async (metricId: string): Promise<QueryMetricResponse> =>
    call(AnalyticsServiceService.queryMetric, { ...QueryMetricRequest.create(), metricId });

  it('shows a tenant what was on the log, and says up to when that is complete', async () => {
    const records = Array.from({ length: 80 }, (_, index) =>
      sealRecord(world.keys, {
        tenantId: acme,
        ...sampleEvent(index),
        occurredAtMs: Date.UTC(2025, 4, 1, index % 24),
        contributor: '00000000000000a1',
      }),
    );
    await world.append('tickets.v1', 2, records);
    await until(async () => (await query('created')).rows[0]?.exact === 10n);
    await until(async () => (await query('created')).completeUpTo?.getTime() === asOf.getTime());
    const [created] = (await query('created')).rows;
    assert.equal(created?.exact, 10n);
    assert.ok(created.accepted > 0n && created.accepted < 10n);
    const totals: GetPlatformTotalsResponse = await call(
      AnalyticsServiceService.getPlatformTotals,
      {},
    );
    assert.equal(totals.totals.find(({ metricId }) => metricId === 'created')?.exact, 10n);
    assert.equal(analytics.problem(), undefined);
  });

  it('sends a receipt for an erasure', async () => {
    const record = emptyRecord('erasure');
    const value = ScopesErased.fromPartial({ erasureId, obligedServices: ['analytics'] });
    const event: PrivacyEvent['event'] = { $case: 'scopesErased', value };
    const clearPayload = Buffer.from(PrivacyEvent.encode({ event }).finish());
    await world.appendRaw('privacy.v1', 0, 1n, [recordWrite({ ...record, clearPayload })]);
    await until(() => receipts.length > 0);
    assert.equal(receipts[0]?.service, 'analytics');
  });

  it('names a partition that stopped in its health', async () => {
    await world.appendRaw('usage.v1', 0, 5n, [recordWrite(emptyRecord('behind a gap'))]);
    await until(() => analytics.problem()?.includes('usage.v1/0 stopped') === true);
  });

  it('starts on no tables that it only checks and that are missing, or of a server where a cluster is named', async () => {
    const checking = { LETHE_ANALYTICS_LEDGER_TABLES: 'check' };
    const refused = { reason: 'CONFIG_INVALID' };
    await assert.rejects(composed(freshDatabase('none'), checking).start(), refused);
    const replicated = { ...checking, LETHE_ANALYTICS_LEDGER_CLUSTER: 'lethe' };
    await assert.rejects(composed(ledgerName, replicated).start(), refused);
  });

  it('goes on with another reader when the log was away', async () => {
    const before = (await query('created')).rows[0]?.exact ?? 0n;
    breaking = true;
    await until(() => broken.size >= 2);
    breaking = false;
    const record = sealRecord(world.keys, {
      tenantId: acme,
      ...sampleEvent(0),
      occurredAtMs: Date.UTC(2025, 4, 1, 3),
      contributor: '00000000000000a1',
    });
    const ends = await world.log.endOffsets('tickets.v1');
    assert.ok((ends[5] ?? 0n) === 0n);
    await world.append('tickets.v1', 5, [record]);
    await until(async () => (await query('created')).rows[0]?.exact === before + 1n);
    // What another test made it stop for, it finds again.
    await until(() => analytics.problem()?.startsWith('partition usage') === true);
  });
});
