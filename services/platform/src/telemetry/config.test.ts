import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ServiceError } from '../errors/service-error.ts';
import { parseTelemetryConfig } from './config.ts';

describe('the settings of telemetry', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'lethe-telemetry-'));
  });
  after(() => rmSync(folder, { recursive: true }));
  const endpoint = { LETHE_TELEMETRY_ENDPOINT: 'http://127.0.0.1:4318' };

  it('are off without an endpoint', () => {
    assert.equal(parseTelemetryConfig('tickets', { LETHE_TELEMETRY_TRACE_RATIO: '1' }), undefined);
  });

  it('keep header values secret', () => {
    const file = join(folder, 'headers');
    writeFileSync(file, 'Authorization: Bearer s3cret\n\nX-Tenant: a\n');
    const env = { ...endpoint, LETHE_TELEMETRY_HEADERS_FILE: file };
    const config = parseTelemetryConfig('tickets', env);
    assert.deepEqual([...(config?.headers.keys() ?? [])], ['Authorization', 'X-Tenant']);
    assert.equal(config?.headers.get('Authorization')?.reveal(), 'Bearer s3cret');
    assert.ok(!JSON.stringify([...(config?.headers ?? [])]).includes('s3cret'));
    assert.equal(config?.traceRatio, 0.01);
  });

  it('name what is wrong, and no value', () => {
    const file = join(folder, 'wrong');
    writeFileSync(file, 's3cret');
    for (const [field, value] of [
      ['LETHE_TELEMETRY_ENDPOINT', 'ftp://s3cret'],
      ['LETHE_TELEMETRY_TRACE_RATIO', '7'],
      // What the collector would forget from one export to the next.
      ['LETHE_TELEMETRY_INTERVAL_MS', '60000'],
      ['LETHE_TELEMETRY_HEADERS_FILE', file],
      ['LETHE_TELEMETRY_AUTHORITY_FILE', join(folder, 'absent')],
      ['LETHE_TELEMETRY_INSTANCE', 'maria@example.com'],
    ] as const) {
      assert.throws(
        () => parseTelemetryConfig('tickets', { ...endpoint, [field]: value }),
        (error) => {
          assert.ok(error instanceof ServiceError && error.reason === 'CONFIG_INVALID');
          assert.deepEqual(
            error.violations.map((each) => each.field),
            [field],
          );
          assert.ok(!error.message.includes('s3cret'));
          return true;
        },
      );
    }
  });
});
