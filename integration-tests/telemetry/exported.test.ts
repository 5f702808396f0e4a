import assert from 'node:assert/strict';
import type { Canary } from '@lethe/cli/generator/canaries.ts';
import { metrics } from '../../deploy/telemetry/catalogue.ts';
import { allowedAttributes } from '../../deploy/telemetry/collector.ts';
import { createByteSearch } from '../harness/byte-patterns.ts';
import { jsonLines, runLethe } from '../harness/lethe.ts';
import type { OtlpReceiver } from '../harness/otlp-receiver.ts';
import { touredWorld, touredWorldTimeoutMs, type TouredWorld } from '../harness/toured-world.ts';
import { wayFrom } from './event-way.ts';

/** What one process without TLS of its own cannot have; six processes have it (contracts/six-processes). */
const notInStandalone = new Set(['lethe.tls.certificate.lifetime']);

describe('what a tour tells by OpenTelemetry', () => {
  let world: TouredWorld;
  let telemetry: OtlpReceiver;
  before(async function () {
    this.timeout(touredWorldTimeoutMs);
    world = await touredWorld();
    ({ telemetry } = world);
  });

  it('is every metric that is declared, and thus that an alert or dashboard names, and no other', () => {
    const declared = Object.entries(metrics).filter(([name]) => !notInStandalone.has(name));
    const expected = declared.map(
      ([name, { unit, kind, description }]) => `${name} ${unit} ${kind} ${description}`,
    );
    const received = telemetry
      .metrics()
      .map(({ name, unit, kind, description }) => `${name} ${unit} ${kind} ${description}`);
    assert.deepEqual([...new Set(received)].toSorted(), expected.toSorted());
  });

  it('is of each service by its name', () => {
    const services = new Set(telemetry.metrics().map(({ service }) => service));
    const expected = [
      'analytics',
      'keys',
      'predictions',
      'privacy',
      'standalone',
      'tickets',
      'usage',
    ];
    assert.deepEqual([...services].toSorted(), expected);
  });

  it('is the way of an event from its call to the cell of the ledger', () => {
    const spans = telemetry.spans();
    const appends = spans.filter(({ name }) => name === 'append');
    const ways = appends.map((append) => wayFrom(append, spans));
    // A busy machine may have dropped spans; that every event has its whole way is for suites without load.
    const gaps = ways.filter((way) => typeof way === 'string');
    assert.ok(gaps.length < ways.length, [...new Set(gaps)].join('; '));
  });

  it('is links where a batch holds events of several traces', () => {
    const spans = telemetry.spans();
    const known = new Set(spans.map(({ spanId }) => spanId));
    const linked = spans.filter(({ links }) => links.length > 1);
    // A busy machine may have dropped some.
    assert.ok(linked.some(({ links }) => links.every((link) => known.has(link))));
  });

  it('is log lines', () => {
    assert.ok(telemetry.logs().some(({ body }) => body === 'erasure completed'));
  });

  it('has attributes of the list alone', () => {
    const named = [...telemetry.spans(), ...telemetry.logs()].flatMap(
      ({ attributes }) => attributes,
    );
    const unknown = new Set(named.filter((name) => !allowedAttributes.includes(name)));
    assert.deepEqual([...unknown], []);
  });

  it('is named by the conventions, as whoever shows it must find calls, messages and statements', () => {
    const message = ['messaging.system', 'messaging.operation.name', 'messaging.operation.type'];
    const required = new Map([
      ['relay publish', [...message, 'messaging.destination.name']],
      ['consume', [...message, 'messaging.destination.name']],
      ['project chunk', message],
      ['ledger insert', ['db.system.name', 'db.operation.name']],
    ]);
    const spans = Map.groupBy(telemetry.spans(), ({ name }) => name);
    for (const [name, attributes] of required) {
      const [first] = spans.get(name) ?? [];
      assert.deepEqual(
        attributes.filter((each) => first?.attributes.includes(each) !== true),
        [],
        name,
      );
    }
    const calls = telemetry.spans().filter(({ attributes }) => attributes.includes('rpc.method'));
    assert.ok(calls.length > 0);
    assert.ok(calls.every(({ attributes }) => attributes.includes('rpc.system.name')));
  });

  it('has nothing of anybody: no name, address, id or text', async function () {
    this.timeout(120_000);
    const anchor = new Date(world.settings.anchorMs).toISOString().slice(0, 10);
    const listed = await runLethe(world.keeper, ['generate', '--canaries', '--anchor', anchor]);
    const canaries = jsonLines<Canary>(listed);
    assert.ok(canaries.length > 5_000);
    const bytes = Buffer.concat(telemetry.bodies());
    assert.ok(bytes.length > 100_000);
    const search = createByteSearch(canaries.map(({ value }) => value));
    assert.deepEqual(search.in(bytes), []);
    const planted = Buffer.concat([bytes, Buffer.from(canaries[0]?.value ?? '')]);
    assert.ok(search.in(planted).length > 0);
    // The search sees into what was sent: tenants stand in log lines, and are no secret.
    assert.ok(createByteSearch([world.showcase.tenantId]).in(bytes).length > 0);
  });
});
