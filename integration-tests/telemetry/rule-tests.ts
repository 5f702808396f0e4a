import { alerts } from '../../deploy/telemetry/alerts.ts';
import type { AlertCase, Samples } from './alert-case.ts';

/** What `promtool test rules` reads: each case twice, as it fires and as it does not. JSON is YAML. */
export function ruleTests(ruleFile: string, cases: readonly AlertCase[]): string {
  const tests = cases.flatMap((each) => [
    testOf(each, each.fires, [expected(each)]),
    testOf(each, each.quiet, []),
  ]);
  return JSON.stringify({ rule_files: [ruleFile], evaluation_interval: '1m', tests }, null, 2);
}

function testOf({ alert, at }: AlertCase, samples: Samples, expectedAlerts: readonly object[]) {
  return {
    interval: '1m',
    input_series: samples.map(([series, values]) => ({ series, values })),
    alert_rule_test: [{ eval_time: at, alertname: alert, exp_alerts: expectedAlerts }],
  };
}

function expected({ alert, labels = {}, summary }: AlertCase) {
  const { severity, runbook } = alerts.find(({ name }) => name === alert) ?? {};
  return {
    exp_labels: { ...labels, severity },
    exp_annotations: { summary, runbook: `docs/operators/runbooks/${runbook}.md` },
  };
}
