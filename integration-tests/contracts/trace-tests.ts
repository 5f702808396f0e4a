import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { type Canary, listCanaries } from '@lethe/cli/generator/canaries.ts';
import { type GeneratedTenant, generateHelpDesk } from '@lethe/cli/generator/help-desk.ts';
import { spanNames } from '@lethe/platform/telemetry/port.ts';
import { parseTraceContext } from '@lethe/platform/telemetry/trace-context.ts';
import { methodAccess, serviceNames } from '@lethe/proto/access.ts';
import { Grain } from '@lethe/proto/gen/lethe/analytics/v1/service.ts';
import { PredictionServiceService } from '@lethe/proto/gen/lethe/predictions/v1/service.ts';
import { ReturningPersons } from '@lethe/proto/gen/lethe/privacy/v1/enums.ts';
import { PrivacyServiceService } from '@lethe/proto/gen/lethe/privacy/v1/service.ts';
import {
  type NewTicketEvent,
  TicketServiceService,
} from '@lethe/proto/gen/lethe/tickets/v1/service.ts';
import { UsageServiceService } from '@lethe/proto/gen/lethe/usage/v1/service.ts';
import { type LocalCollector, startLocalCollector } from '../../deploy/local/collector.ts';
import { allowedAttributes } from '../../deploy/telemetry/collector.ts';
import { openPatientClient, type PatientClient } from '../faults/client.ts';
import { eraseSomebody, untilCompleted } from '../faults/erase-in-between.ts';
import { mintOf } from '../harness/access-tokens.ts';
import { openApi } from '../harness/api.ts';
import { createByteSearch } from '../harness/byte-patterns.ts';
import { figuresComplete, queryMetric } from '../harness/figures.ts';
import { type OtlpReceiver, startOtlpReceiver } from '../harness/otlp-receiver.ts';
import type { StoredRecord } from '../harness/stored-log.ts';
import { newEvent, ticketOpened } from '../harness/ticket-events.ts';
import { type EventWay, gapsIn, traceText, wayOf } from '../telemetry/event-way.ts';

/** A running system that sends its telemetry somewhere. */
export interface TracedSystem {
  readonly address: string;
  readonly dataFolder: string;
  /** What lies on its log. */
  readonly records: () => Promise<readonly StoredRecord[]>;
  /** Ends all its services as a stop does, each with its last export. */
  readonly end: () => Promise<void>;
}

/** Starts a system with these variables for every service; undefined when it cannot be had here, which was said aloud. */
export type StartTraced = (
  env: Readonly<Record<string, string>>,
) => Promise<TracedSystem | undefined>;

const withinMs = 300_000;
/** Spans come every second. */
const traceWithinMs = 60_000;

/** Personal texts of the two events that are followed. */
const followed = ['followed-by-a-unary-call', 'followed-by-a-stream'] as const;
const personalTexts = followed.flatMap((id) => [
  `Name of ${id}`,
  `${id}@example.com`,
  `A subject that names ${id}`,
  id,
]);

/**
 * What a system tells a real collector with the project's configuration, and what that passes on. The collector listens
 * on loopback unless `host` says where.
 */
export function traceTests(collectorFile: string, start: StartTraced, host?: string): void {
  let backend: OtlpReceiver;
  let copies: OtlpReceiver;
  let collector: LocalCollector | undefined;
  let system: TracedSystem;
  let client: PatientClient | undefined;
  let canaries: readonly Canary[];
  let tenant: string;
  let scraped = '';

  before(async function () {
    [backend, copies] = [await startOtlpReceiver(), await startOtlpReceiver()];
    const endpoints = { backend: backend.endpoint, copies: copies.endpoint };
    const listens = host === undefined ? {} : { host };
    collector = await startLocalCollector({ binary: collectorFile, ...endpoints, ...listens });
    console.log(`    ${collector.version}`);
    const started = await start({
      LETHE_TELEMETRY_ENDPOINT: collector.endpoint,
      LETHE_TELEMETRY_TRACE_RATIO: '1',
      LETHE_TELEMETRY_INTERVAL_MS: '1000',
    });
    if (started === undefined) this.skip();
    system = started;
    client = openPatientClient(system.address, system.dataFolder);
    const settings = { seed: 'telemetry', tenants: 1, days: 20, events: 600 };
    const [desk] = [...generateHelpDesk({ ...settings, anchorMs: Date.now() })];
    assert.ok(desk);
    tenant = desk.profile.tenantId;
    canaries = [...listCanaries(desk)];
    await sendDesk(client, desk);
    await untilCompleted(client, await eraseSomebody(client, 'telemetry', desk), withinMs);
  });
  after(async () => {
    client?.close();
    await collector?.stop();
    await copies.close();
    await backend.close();
  });

  const eventOf = (id: string): NewTicketEvent =>
    newEvent(`ticket of ${id}`, ticketOpened(id, `A subject that names ${id}`));
  /** Sends the event alone, waits until the ledger has it, and for its trace. */
  const follow = async (event: NewTicketEvent, send: () => Promise<unknown>): Promise<EventWay> => {
    const before = await createdInLedger(system, tenant);
    await send();
    assert.equal(await createdInLedger(system, tenant), before + 1);
    assert.equal(event.id?.$case, 'eventId');
    const hex = event.id.value.replaceAll('-', '');
    const records = await system.records();
    const record = records.find(({ header }) => header.eventId.toString('hex') === hex);
    assert.ok(record);
    const endsMs = performance.now() + traceWithinMs;
    for (;;) {
      const way = wayOf(record, backend.spans());
      if (typeof way !== 'string') return way;
      assert.ok(performance.now() < endsMs, way);
      await delay(500);
    }
  };
  const print = ({ append }: EventWay) => {
    const trace = backend.spans().filter(({ traceId }) => traceId === append.traceId);
    console.log(traceText(trace).replaceAll(/^/gm, '      '));
  };

  it('is the way of one event from a unary call to the cell of the ledger, in one trace', async () => {
    const event = eventOf(followed[0]);
    const { appendTicketEvents } = TicketServiceService;
    const claims = { tenant, roles: ['writer'] };
    const way = await follow(
      event,
      async () => await client?.call(appendTicketEvents, { events: [event] }, claims),
    );
    print(way);
    assert.equal(way.call.name, appendTicketEvents.path.slice(1));
    assert.equal(way.call.parentId, '');
    const all = [way.call, way.append, way.publish, way.chunk, way.insert];
    assert.deepEqual(
      all.map(({ service }) => service),
      ['tickets', 'tickets', 'tickets', 'analytics', 'analytics'],
    );
    assert.equal(new Set(all.map(({ traceId }) => traceId)).size, 1);
  });

  it('is the same of one event of a stream, whose span is another trace that it links to', async () => {
    const event = eventOf(followed[1]);
    const { streamTicketEvents } = TicketServiceService;
    const way = await follow(event, async () => {
      const wish = { tenant, open: async () => undefined, onAnswer: () => undefined };
      await client?.send(streamTicketEvents, [[event]], wish);
    });
    print(way);
    assert.equal(way.call.name, 'rpc message');
    assert.equal(way.stream?.name, streamTicketEvents.path.slice(1));
    assert.equal(way.stream.values['rpc.response.status_code'], 'OK');
    const all = [way.call, way.append, way.publish, way.chunk, way.insert];
    assert.equal(new Set(all.map(({ traceId }) => traceId)).size, 1);
    assert.notEqual(way.stream.traceId, way.call.traceId);
  });

  it('is that of the call for what privacy writes too: a tenant that was registered', async () => {
    const records = await system.records();
    const registered = records.find(({ header }) => header.type === 'TenantRegistered');
    const context = parseTraceContext(registered?.traceContext ?? Buffer.alloc(0));
    const call = backend.spans().find(({ spanId }) => spanId === context?.spanId);
    assert.equal(call?.name, PrivacyServiceService.registerTenant.path.slice(1));
  });

  it('has no gap: whatever was a parent or linked to was received, once all have ended', async () => {
    scraped = (await collector?.scrape()) ?? '';
    await system.end();
    await collector?.stop();
    const spans = backend.spans();
    assert.deepEqual(new Set(spans.map(({ service }) => service)), new Set(serviceNames));
    const linked = spans.filter(({ links }) => links.length > 1).length;
    console.log(`      ${spans.length} spans, ${linked} of them with several links`);
    assert.ok(linked > 0);
    assert.deepEqual(gapsIn(spans), []);
    // The check sees a gap where there is one.
    const parents = new Set(spans.map(({ parentId }) => parentId));
    const [parent] = spans.filter(({ spanId }) => parents.has(spanId));
    assert.ok(gapsIn(spans.filter((span) => span !== parent)).length > 0);
  });

  receivedTests(() => ({
    backend,
    copies,
    scraped,
    log: collector?.log() ?? '',
    texts: [...new Set([...canaries.map(({ value }) => value), ...personalTexts])],
  }));
}

interface Received {
  readonly backend: OtlpReceiver;
  readonly copies: OtlpReceiver;
  readonly scraped: string;
  /** The collector's own. */
  readonly log: string;
  /** Of persons. */
  readonly texts: readonly string[];
}

/** About all that was received until the end. */
function receivedTests(get: () => Received): void {
  it('is passed on as it came: the redaction finds nothing to take away', () => {
    const { backend, copies, scraped } = get();
    const whole = (receiver: OtlpReceiver) =>
      new Map(receiver.spans().map(({ spanId, values }) => [spanId, values]));
    assert.deepEqual(whole(backend), whole(copies));
    assert.equal(backend.logs().length, copies.logs().length);
    assert.match(scraped, /^lethe_append_duration_seconds_bucket\{/m);
    assert.doesNotMatch(scraped, /\*\*\*\*/);
  });

  it('has names and attributes of the lists alone, and no other text', () => {
    const { copies } = get();
    const names = [...copies.spans(), ...copies.logs(), ...copies.metrics()].flatMap(
      ({ attributes }) => attributes,
    );
    const all = new Set([...names, ...copies.resourceAttributes()]);
    assert.deepEqual(
      [...all].filter((name) => !allowedAttributes.includes(name)),
      [],
    );
    const known = new Set<string>(spanNames);
    for (const path of Object.keys(methodAccess)) known.add(path.slice(1));
    const spans = copies.spans();
    const spanNamesSeen = new Set(spans.map(({ name }) => name));
    assert.deepEqual(
      [...spanNamesSeen].filter((name) => !known.has(name)),
      [],
    );
    assert.deepEqual([...new Set(spans.flatMap(({ otherTexts }) => otherTexts))], []);
  });

  it('has nothing of anybody in what the collector received, passed on, logged or was scraped for', () => {
    const { backend, copies, scraped, log, texts } = get();
    assert.ok(texts.length > 300, String(texts.length));
    const search = createByteSearch(texts);
    const received = Buffer.concat(copies.bodies());
    console.log(`      ${received.length} bytes searched for ${texts.length} texts`);
    for (const bytes of [
      received,
      Buffer.concat(backend.bodies()),
      Buffer.from(scraped),
      Buffer.from(log),
    ]) {
      assert.deepEqual(search.in(bytes), []);
    }
    for (const planted of [texts.at(0) ?? '', texts.at(-1) ?? '']) {
      assert.ok(search.in(Buffer.concat([received, Buffer.from(planted)])).length > 0);
    }
  });
}

/** Tickets that the tenant's exact cells have. */
async function createdInLedger(
  { address, dataFolder }: TracedSystem,
  tenant: string,
): Promise<number> {
  const api = openApi(address, withinMs);
  try {
    const token = mintOf(dataFolder).mint({ tenant, roles: ['reader'] });
    await figuresComplete(api, token, Grain.GRAIN_TOTAL, withinMs);
    const asked = { metricId: 'created', grain: Grain.GRAIN_TOTAL };
    const { rows } = await queryMetric(api, token, asked);
    return rows.reduce((sum, { exact }) => sum + Number(exact), 0);
  } finally {
    api.close();
  }
}

/** All of a tenant, in streams of several messages. */
async function sendDesk(client: PatientClient, desk: GeneratedTenant): Promise<void> {
  const { tenantId } = desk.profile;
  const returningPersons = ReturningPersons.RETURNING_PERSONS_ALLOW;
  const settings = { region: 'eu-central', retentionDays: 400, returningPersons };
  const claims = { roles: ['platform-admin'] };
  await client.call(PrivacyServiceService.registerTenant, { tenantId, settings }, claims);
  const wish = { tenant: tenantId, open: async () => undefined, onAnswer: () => undefined };
  const events = desk.tickets.flatMap((ticket) => ticket.events);
  const predictions = desk.tickets.flatMap((ticket) => ticket.predictions);
  await client.send(TicketServiceService.streamTicketEvents, batchesOf(events), wish);
  await client.send(PredictionServiceService.streamPredictionEvents, batchesOf(predictions), wish);
  await client.send(UsageServiceService.streamUsageEvents, batchesOf(desk.usage), wish);
}

const batchEvents = 20;

function batchesOf<Event>(events: readonly Event[]): Event[][] {
  return Array.from({ length: Math.ceil(events.length / batchEvents) }, (_, index) =>
    events.slice(index * batchEvents, (index + 1) * batchEvents),
  );
}
