import { telemetryIntervalMsMax } from '../../services/platform/src/telemetry/config.ts';
import {
  flag,
  group,
  type Group,
  labelMap,
  list,
  optionalText,
  text,
  textMap,
  type Value,
  whole,
} from './schema-parts.ts';
import { endpointName } from './store-values.ts';

/** Where traces, metrics and logs go. */
export function telemetryValues(): Group {
  return group('OpenTelemetry; off without an endpoint (docs/operators/observability.md).', {
    endpoint: optionalText(
      'Of the collector: http(s)://host:port, OTLP over HTTP.',
      'https?://[^/\\s]+',
    ),
    traceRatio: text('The share of calls from outside whose trace is recorded, 0 to 1.', '0.01', {
      pattern: '^(0(\\.[0-9]+)?|1(\\.0+)?)$',
    }),
    intervalMs: whole(
      'How often metrics are sent; the collector forgets after a minute what it does not hear of.',
      15_000,
      500,
      telemetryIntervalMsMax,
    ),
    existingSecret: optionalText('With what the two below name.', endpointName),
    authorityKey: text(
      'Where in the Secret the authority of the collector lies; empty: those of Node.',
      '',
    ),
    headersKey: text('Where in it headers lie, a line "name: value" each; empty: none.', ''),
    peers: list('Where the collector is: CIDR or selector.', { $ref: '#/definitions/peer' }),
  });
}

/** What Prometheus and Grafana are given; all of it needs their operators and is off. */
export function monitoringValues(): Group {
  return group(
    'For the Prometheus operator and Grafana, whose objects must be known to the cluster. One Prometheus takes one Lethe: its alerts know no release (docs/operators/observability.md).',
    {
      serviceMonitor: group('Has the collector scraped.', {
        enabled: flag('Whether there is one.', false),
        selector: textMap("Labels of the collector's Service."),
        namespace: optionalText(
          'Of the collector; else that of the release.',
          '[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?',
        ),
        port: text('Name of the port of that Service.', 'prometheus', { minLength: 1 }),
        interval: text('How often.', '30s', { pattern: '^[1-9][0-9]*(s|m)$' }),
        labels: objectLabels(),
      }),
      prometheusRule: group('Alerts with runbooks.', {
        enabled: flag('Whether there are any.', false),
        labels: objectLabels(),
        runbooksUrl: optionalText(
          'Where you keep docs/operators/runbooks: the annotation runbook_url of each alert; empty: runbook, the path in the repository.',
          'https?://[^\\s"]*[^\\s"/]',
        ),
      }),
      dashboards: group('ConfigMaps that the sidecar of Grafana finds.', {
        enabled: flag('Whether there are any.', false),
        labels: labelMap('By which the sidecar finds them; grafana_dashboard: "1" when empty.'),
      }),
      prometheusAddress: optionalText(
        'http(s)://host:port that KEDA asks; required with scaling.mode lag.',
        'https?://[^\\s]+',
      ),
    },
  );
}

function objectLabels(): Value {
  return labelMap('By which the operator finds it.');
}
