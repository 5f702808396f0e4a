import assert from 'node:assert/strict';
import { leaseMetrics } from '@lethe/platform/key-client/metrics.ts';
import { observeProblems } from '@lethe/platform/lifecycle/observe-service.ts';
import { until } from '@lethe/platform/testing/until.ts';
import { type LocalCollector, startLocalCollector } from '../../deploy/local/collector.ts';
import { allowedAttributes } from '../../deploy/telemetry/collector.ts';
import { openTestTelemetry } from '../harness/open-test-telemetry.ts';
import { type OtlpReceiver, startOtlpReceiver } from '../harness/otlp-receiver.ts';
import { findOrBuildCollector } from './collector-binary.ts';

const binary = await findOrBuildCollector('its configuration was not tried');

/** What no service says, as a defect might have it said: keys that are on no list, and values that are of somebody. */
const forbiddenKeys = { 'user.email': 'ada.beispiel', 'exception.message': 'Ada Beispiel' };
const forbiddenValues = {
  'lethe.problem': 'not taken: ada.beispiel@example.com',
  'lethe.address': '+999 4711 0815 23',
  'lethe.reason': '4111 1111 1111 1111',
};
const secrets = ['ada.beispiel', 'Ada Beispiel', '4711 0815', '4111 1111'];
const kept = {
  'service.name': 'tickets',
  'lethe.erasure.id': '12345678-1234-4123-8123-123456789012',
  'lethe.topic': 'tickets.v1',
};
const given = { ...forbiddenKeys, ...forbiddenValues, ...kept };

// Said above where there is none.
if (binary !== undefined) {
  describe('the configuration of the collector, by a collector', function () {
    this.timeout(60_000);
    let backend: OtlpReceiver;
    let copies: OtlpReceiver;
    let collector: LocalCollector;
    before(async () => {
      [backend, copies] = [await startOtlpReceiver(), await startOtlpReceiver()];
      const endpoints = { backend: backend.endpoint, copies: copies.endpoint };
      collector = await startLocalCollector({ binary, ...endpoints });
      console.log(`    ${collector.version}`);
    });
    after(async () => {
      await collector?.stop();
      await copies?.close();
      await backend?.close();
    });

    const send = async (signal: string, body: object) => {
      const { status } = await fetch(`${collector.endpoint}/v1/${signal}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
      assert.equal(status, 200);
    };
    const attributes = Object.entries(given).map(([key, text]) => ({
      key,
      value: { stringValue: text },
    }));
    const resource = { attributes };
    const nowNs = `${Date.now()}000000`;
    const texts = (bytes: readonly Buffer[]) => {
      const all = Buffer.concat(bytes).toString('latin1');
      return secrets.filter((secret) => all.includes(secret));
    };

    it('is taken as it is, without a warning', () => {
      assert.doesNotMatch(collector.log(), /\t(warn|error)\t/);
    });

    it('takes what is on no list off spans and masks what is of somebody', async () => {
      const span = {
        traceId: 'a'.repeat(32),
        spanId: 'b'.repeat(16),
        name: 'append',
        kind: 1,
        startTimeUnixNano: nowNs,
        endTimeUnixNano: nowNs,
        attributes,
        events: [{ timeUnixNano: nowNs, name: 'exception', attributes }],
      };
      await send('traces', { resourceSpans: [{ resource, scopeSpans: [{ spans: [span] }] }] });
      await until(() => backend.spans().length === 1 && copies.spans().length === 1);
      assert.deepEqual(copies.spans()[0]?.values, given);
      assert.deepEqual(backend.spans()[0]?.values, {
        ...kept,
        'lethe.problem': 'not taken: ****',
        'lethe.address': '****',
        'lethe.reason': '****',
      });
      const left = new Set(backend.resourceAttributes());
      assert.deepEqual(
        [...left].filter((name) => !allowedAttributes.includes(name)),
        [],
      );
    });

    it('and the same of log lines, their text included', async () => {
      const body = { stringValue: 'said by ada.beispiel@example.com' };
      const record = { timeUnixNano: nowNs, body, attributes };
      await send('logs', { resourceLogs: [{ resource, scopeLogs: [{ logRecords: [record] }] }] });
      await until(() => backend.logs().length === 1 && copies.logs().length === 1);
      const [log] = backend.logs();
      assert.equal(log?.body, 'said by ****');
      const expected = Object.keys({ ...forbiddenValues, ...kept });
      assert.deepEqual([...(log?.attributes ?? [])].toSorted(), expected.toSorted());
    });

    it('and the same of metrics, which Prometheus scrapes under their names', async () => {
      const point = { timeUnixNano: nowNs, asDouble: 7, attributes };
      const metric = { name: 'lethe.relay.lag', unit: 's', gauge: { dataPoints: [point] } };
      const metrics = [metric];
      await send('metrics', { resourceMetrics: [{ resource, scopeMetrics: [{ metrics }] }] });
      await until(async () => (await collector.scrape()).includes('lethe_relay_lag_seconds{'));
      const scraped = await collector.scrape();
      assert.match(scraped, /^lethe_relay_lag_seconds\{.*lethe_topic="tickets.v1".*\} 7$/m);
      assert.doesNotMatch(scraped, /user_email|exception_message/);
      assert.deepEqual(texts([Buffer.from(scraped)]), []);
    });

    it('has gauges and counters of the services scraped, as their SDK sends them', async () => {
      const running = openTestTelemetry(collector.endpoint);
      const telemetry = running.of('tickets');
      let problem: string | undefined = 'SEQUENCE_GAP at 17';
      observeProblems(telemetry, { relay: () => problem });
      const lookup = { 'lethe.lease.purpose': 'seal', 'lethe.lease.result': 'hit' } as const;
      telemetry.meter(leaseMetrics).add('lethe.lease.lookups', 3, lookup);
      const series = async (pattern: RegExp) =>
        await until(async () => pattern.test(await collector.scrape()));
      await series(/^lethe_problems\{.*error_type="SEQUENCE_GAP".*\} 1$/m);
      problem = undefined;
      await series(/^lethe_problems\{(?!.*error_type).*lethe_component="relay".*\} 0$/m);
      await series(/^lethe_lease_lookups_total\{.*lethe_lease_result="hit".*\} 3$/m);
      await running.stop(1_000);
    });

    it('leaves nothing of anybody in what goes on; what came in had it', () => {
      assert.deepEqual(texts(copies.bodies()), secrets);
      assert.deepEqual(texts(backend.bodies()), []);
    });
  });
}
