import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { alerts } from '../../deploy/telemetry/alerts.ts';
import { telemetryValues } from '../../deploy/chart/telemetry-values.ts';
import { metrics } from '../../deploy/telemetry/catalogue.ts';
import { allowedAttributes, collectorText } from '../../deploy/telemetry/collector.ts';
import { telemetryFiles } from '../../deploy/telemetry/write-files.ts';
import type { Reason } from '@lethe/proto/reasons.ts';
import { attributeRules } from '@lethe/platform/telemetry/attributes.ts';
import { telemetryIntervalMsMax, telemetrySettings } from '@lethe/platform/telemetry/config.ts';
import { alertCases } from '../telemetry/alert-cases.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const runbooks = path.join(root, 'docs/operators/runbooks');

describe('alerts, dashboards and the collector', () => {
  it('are as what the services declare makes them; else: node deploy/telemetry/write-files.ts', () => {
    for (const [file, text] of telemetryFiles()) {
      assert.equal(readFileSync(path.join(root, file), 'utf8'), text, file);
    }
  });

  it('have a case and a runbook for each alert, and no runbook for none', () => {
    const named = alerts.map(({ name }) => name);
    assert.equal(new Set(named).size, named.length);
    assert.deepEqual(
      [...new Set(alertCases.map(({ alert }) => alert))].toSorted(),
      named.toSorted(),
    );
    for (const { runbook, name } of alerts) {
      const file = path.join(runbooks, `${runbook}.md`);
      assert.ok(existsSync(file), `${name}: ${file}`);
      assert.match(readFileSync(file, 'utf8'), new RegExp(`\\b${name}\\b`));
    }
    const written = readdirSync(runbooks).filter((file) => file !== 'README.md');
    const used = new Set(alerts.map(({ runbook }) => `${runbook}.md`));
    assert.deepEqual(
      written.filter((file) => !used.has(file)),
      [],
    );
  });

  it('lean on no problem of a process that ends with it: nobody is left to tell', () => {
    const ending: readonly Reason[] = ['LEDGER_AHEAD_OF_TABLE', 'LEDGER_BEHIND_TABLE'];
    for (const { name, expr } of alerts) {
      assert.deepEqual(
        ending.filter((reason) => expr.includes(reason)),
        [],
        name,
      );
    }
  });

  it('forget a process that ended before any alert has waited for it', () => {
    const [, expiry = ''] = /metric_expiration: (\d+)m/.exec(collectorText()) ?? [];
    const waits = alerts.map((alert) => Number(/^(\d+)m$/.exec(alert.for)?.[1]));
    const shortest = Math.min(...waits.filter((each) => each > 0));
    assert.ok(Number(expiry) <= shortest, `${expiry} min, ${shortest} min`);
  });

  it('forget no process that runs, however rarely it may send', () => {
    const [, expiry = ''] = /metric_expiration: (\d+)m/.exec(collectorText()) ?? [];
    const { LETHE_TELEMETRY_INTERVAL_MS: ofServices } = telemetrySettings.shape;
    assert.ok(ofServices.safeParse(telemetryIntervalMsMax).success);
    assert.ok(!ofServices.safeParse(telemetryIntervalMsMax + 1).success);
    const { intervalMs: ofChart } = telemetryValues().members;
    assert.ok(ofChart?.kind === 'value');
    assert.equal(ofChart.schema['maximum'], telemetryIntervalMsMax);
    // One export may fail.
    assert.ok(2 * telemetryIntervalMsMax <= Number(expiry) * 60_000, `${expiry} min`);
  });

  it('name each attribute once', () => {
    assert.equal(new Set(allowedAttributes).size, allowedAttributes.length);
  });

  it('show every metric of ours: one that nobody sees is measured in vain', () => {
    const text = [...telemetryFiles().values()].join('\n');
    const unseen = Object.keys(metrics)
      .map((name) => name.replaceAll('.', '_'))
      .filter((name) => !text.includes(name));
    assert.deepEqual(unseen, []);
  });

  it('let through no attribute that could be text', () => {
    /** Closed lists, but for the name of a process and the address of a listener. */
    const known = ['service.name', 'lethe.address', ...Object.keys(attributeRules)];
    const textual = allowedAttributes.filter((name) =>
      /name$|mail|user|subject|address$/.test(name),
    );
    assert.deepEqual(
      textual.filter((name) => !known.includes(name)),
      [],
    );
    assert.ok(!allowedAttributes.includes('exception.message'));
  });
});
