import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { systemClock } from '../lifecycle/clock.ts';
import { appendMetrics } from '../event-store/metrics.ts';
import { createLogger } from '../log/logger.ts';
import { until } from '../testing/until.ts';
import { openTelemetry } from './open-telemetry.ts';

describe('telemetry that is sent', () => {
  let server: Server | undefined;
  afterEach(() => {
    server?.closeAllConnections();
    server?.close();
  });

  async function open(answer: ((body: Buffer, path: string) => number) | undefined) {
    const made = createServer((request, response) => {
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part));
      request.on('end', () => {
        const status = answer?.(Buffer.concat(parts), request.url ?? '');
        if (status !== undefined) response.writeHead(status).end();
      });
    });
    server = made;
    await new Promise<void>((resolve) => {
      made.listen(0, '127.0.0.1', resolve);
    });
    const { port } = made.address() as AddressInfo;
    let undelivered = 0;
    const running = openTelemetry(
      {
        endpoint: new URL(`http://127.0.0.1:${port}/prefix`),
        authority: undefined,
        headers: new Map(),
        traceRatio: 1,
        intervalMs: 500,
        instance: 'one',
      },
      {
        name: 'tickets',
        // What waits for a time waits no longer: no test is timed.
        clock: { ...systemClock, sleep: async () => undefined },
        randomBytes: (size) => Buffer.alloc(size, 7),
        onUndelivered: () => (undelivered += 1),
      },
    );
    return { running, undelivered: () => undelivered };
  }

  it('comes by its paths, and a log line with what was written alone', async () => {
    const bodies = new Map<string, Buffer>();
    const { running } = await open((body, path) => {
      bodies.set(path, Buffer.concat([bodies.get(path) ?? Buffer.alloc(0), body]));
      return 200;
    });
    const telemetry = running.of('tickets');
    const written: string[] = [];
    const logger = createLogger({
      service: 'tickets',
      level: 'info',
      destination: { write: (line) => void written.push(line) },
      copies: running.logs,
    });
    await telemetry.inSpan({ name: 'append', kind: 'internal' }, async () => {
      logger.info({ topic: 'tickets.v1', email: 'maria@example.com' }, 'said');
    });
    telemetry.meter(appendMetrics).record('lethe.append.duration', 0.1, {});
    await until(() => bodies.size === 3);
    assert.deepEqual([...bodies.keys()].toSorted(), [
      '/prefix/v1/logs',
      '/prefix/v1/metrics',
      '/prefix/v1/traces',
    ]);
    const line = JSON.parse(written[0] ?? '') as Record<string, string>;
    assert.match(line['trace_id'] ?? '', /^[0-9a-f]{32}$/);
    const all = Buffer.concat([...bodies.values()]).toString('latin1');
    assert.ok(
      all.includes('said') && all.includes('lethe.topic') && all.includes('lethe.append.duration'),
    );
    assert.ok(!all.includes('maria'));
    await running.stop(1_000);
  });

  it('comes whole at a stop, however much is queued', async () => {
    const bodies: Buffer[] = [];
    const { running, undelivered } = await open((body, path) => {
      if (path.endsWith('/traces')) bodies.push(body);
      return 200;
    });
    const telemetry = running.of('tickets');
    for (let index = 0; index < 2_048; index += 1) {
      telemetry.begin({ name: 'append', kind: 'internal' }).end();
    }
    // The flush itself is bounded by the clock, whose sleep this test has made short.
    await running.stop(0);
    await until(() => Buffer.concat(bodies).toString('latin1').split('append').length > 2_048);
    assert.equal(undelivered(), 0);
  });

  it('that nobody takes is told once, and holds up nothing', async () => {
    const { running, undelivered } = await open(() => 400);
    const telemetry = running.of('tickets');
    for (let index = 0; index < 5_000; index += 1) {
      telemetry.begin({ name: 'append', kind: 'internal' }).end();
    }
    await until(() => undelivered() > 0);
    await running.stop(1_000);
    assert.equal(undelivered(), 1);
  });

  it('ends within its bound when the collector does not answer', async () => {
    const { running } = await open(undefined);
    running.of('tickets').begin({ name: 'append', kind: 'internal' }).end();
    await running.stop(1);
    await running.stop(1);
  });
});
