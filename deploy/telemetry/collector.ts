import { attributeRules } from '../../services/platform/src/telemetry/attributes.ts';
import { allowedLogFields } from '../../services/platform/src/log/logger.ts';

/** What a resource of ours says. */
const resourceAttributes = ['service.namespace', 'service.name', 'service.instance.id'];

/** What spans, metrics and log records may carry: the same lists that the services hold to. */
export const allowedAttributes: readonly string[] = [
  ...new Set([
    ...resourceAttributes,
    ...Object.keys(attributeRules),
    ...[...allowedLogFields, 'dropped'].map((field) => `lethe.${field}`),
  ]),
].toSorted();

/** The collector's configuration: OTLP in, what is on no list out, to Prometheus and to wherever traces and logs go. */
export function collectorText(): string {
  const keys = allowedAttributes.map((key) => `      - ${key}\n`).join('');
  return `# Made by \`node deploy/telemetry/write-files.ts\`; a test holds it. docs/operators/observability.md has the rest.
# Needs the redaction processor and the Prometheus exporter, as the contrib distribution of the collector has them. Tried
# with version 0.155.
receivers:
  otlp:
    protocols:
      http: { endpoint: "\${env:OTLP_LISTEN:-127.0.0.1:4318}" }
processors:
  # The services send nothing else. Should one ever, by a defect or another version, it ends here.
  redaction:
    allow_all_keys: false
    allowed_keys:
${keys}    blocked_values:
      # Mail addresses, and numbers as long as those of cards, phones and passports.
      - '[^\\s@]+@[^\\s@]+\\.[^\\s@]+'
      - '\\+\\d[\\d ()-]{7,}\\d'
      - '\\b(?:\\d[ -]?){13,19}\\b'
    allowed_values:
      # Ids that Lethe made of random bits: one of them may be digits alone.
      - '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'
    summary: silent
  memory_limiter: { check_interval: 1s, limit_percentage: 75, spike_limit_percentage: 20 }
  batch: { timeout: 1s }
exporters:
  # Scraped by Prometheus with honor_labels: job is "lethe/<service>", instance the process. A process that
  # ended is forgotten after: some intervals at which services send (LETHE_TELEMETRY_INTERVAL_MS, 15 s, at most 30 s), and
  # no more than alerts wait for, or the last lag of a pod that is gone would page.
  prometheus:
    endpoint: "\${env:PROMETHEUS_LISTEN:-127.0.0.1:8889}"
    metric_expiration: 1m
  # As collectors name it since 0.144 at the latest; older ones have otlphttp.
  otlp_http: { endpoint: "\${env:OTLP_BACKEND:-http://127.0.0.1:4319}" }
service:
  pipelines:
    traces: { receivers: [otlp], processors: [memory_limiter, redaction, batch], exporters: [otlp_http] }
    metrics: { receivers: [otlp], processors: [memory_limiter, redaction, batch], exporters: [prometheus] }
    logs: { receivers: [otlp], processors: [memory_limiter, redaction, batch], exporters: [otlp_http] }
`;
}
