import { attributeRules } from '../../services/platform/src/telemetry/attributes.ts';
import { allowedLogFields } from '../../services/platform/src/log/logger.ts';

/** What a resource of ours says. */
const resourceAttributes = ['service.namespace', 'service.name', 'service.instance.id'];

/** What spans, metrics and log records may carry: the same lists that the services hold to. */
export const allowedAttributes: readonly string[] = [
  ...resourceAttributes,
  ...Object.keys(attributeRules),
  ...[...allowedLogFields, 'dropped'].map((field) => `lethe.${field}`),
].toSorted();

/** The collector's configuration: OTLP in, what is on no list out, to Prometheus and to wherever traces and logs go. */
export function collectorText(): string {
  const keys = allowedAttributes.map((key) => `      - ${key}\n`).join('');
  return `# Made by \`node deploy/telemetry/write-files.ts\`; a test holds it. docs/operators/observability.md has the rest.
# Needs the redaction processor and the Prometheus exporter, as the contrib distribution of the collector has them.
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
    summary: silent
  memory_limiter: { check_interval: 1s, limit_percentage: 75, spike_limit_percentage: 20 }
  batch: { timeout: 1s }
exporters:
  # Scraped by Prometheus: job is "lethe/<service>", instance the process.
  prometheus:
    endpoint: "\${env:PROMETHEUS_LISTEN:-127.0.0.1:8889}"
    metric_expiration: 3m
  otlphttp: { endpoint: "\${env:OTLP_BACKEND:-http://127.0.0.1:4319}" }
service:
  pipelines:
    traces: { receivers: [otlp], processors: [memory_limiter, redaction, batch], exporters: [otlphttp] }
    metrics: { receivers: [otlp], processors: [memory_limiter, redaction, batch], exporters: [prometheus] }
    logs: { receivers: [otlp], processors: [memory_limiter, redaction, batch], exporters: [otlphttp] }
`;
}
