import { serviceNames } from '../../proto/access.ts';
import { buckets, label, observations, series } from './catalogue.ts';

/** One alert; its runbook is docs/operators/runbooks/<runbook>.md. */
export interface Alert {
  readonly name: string;
  readonly expr: string;
  /** How long it must hold, as Prometheus writes times. */
  readonly for: string;
  readonly severity: 'page' | 'ticket';
  /** In a sentence; may name labels. */
  readonly summary: string;
  readonly runbook: string;
}

const reason = label('error.type');
const topic = label('messaging.destination.name');
const consumer = label('lethe.consumer');
const method = label('rpc.method');
const status = label('rpc.response.status_code');

/** Of each process: one that is behind is not made up for by others. */
const consumerLag = series('lethe.consumer.lag');
/** Three minutes: what `keys` leaves behind that was replaced is over before the alert has waited for it. */
const leaseCalls = (filter: string) =>
  `sum by (job) (rate(${observations('rpc.client.call.duration')}{${method}=~"lethe.keys.v1.KeyService/Lease.*"${filter}}[3m]))`;
/** A client that has lost its watch for revocations makes no calls: it refuses by itself. */
const leaseLookups = (filter: string) =>
  `sum by (job) (rate(${series('lethe.lease.lookups')}${filter}[3m]))`;
const failedCalls = `${leaseCalls(`,${status}!~"OK|NOT_FOUND"`)} / ${leaseCalls('')}`;
const failedLookups = `${leaseLookups(`{${label('lethe.lease.result')}="failed"}`)} / ${leaseLookups('')}`;
/** A service of which nothing is heard has no other series that could rise, such as the clocks of `privacy`. */
const silentServices = serviceNames.map(
  (name) => `absent(${series('lethe.ready')}{job="lethe/${name}"})`,
);
const sixAreHeard = `group(${series('lethe.ready')}{job!="lethe/standalone"})`;
/** What a process lives on with. One that finds its ledger ahead or behind ends, and is told of by its absence. */
const gapReasons = 'SEQUENCE_GAP|LOG_AHEAD_OF_TABLE|LOG_BEHIND_CHECKPOINT';

/** The alerts that there are. Bounds are what certificates and the pages promise, and the settings' defaults. */
export const alerts: readonly Alert[] = [
  {
    name: 'LetheErasureOverdue',
    expr: `max(${series('lethe.erasure.open.age')}) > 7200`,
    for: '5m',
    severity: 'page',
    summary: 'An erasure was requested {{ $value | humanizeDuration }} ago and is not completed.',
    runbook: 'erasure-overdue',
  },
  {
    name: 'LetheUnreadableClockAboveBound',
    expr: `max(${series('lethe.erasure.readable.age')}) > 60 or max(${series('lethe.erasure.unfenced.age')}) > 60`,
    for: '0m',
    severity: 'page',
    summary:
      'Somebody may still read what was to be erased {{ $value | humanizeDuration }} ago; the bound is 60 s.',
    runbook: 'unreadable-clock',
  },
  {
    name: 'LetheUnreadableClockSlow',
    expr: `histogram_quantile(0.99, sum by (le) (rate(${buckets('lethe.erasure.unreadable.duration')}[1h]))) > 5`,
    for: '15m',
    severity: 'ticket',
    summary:
      'Erasures take {{ $value | humanizeDuration }} until they are unreadable (p99 of an hour).',
    runbook: 'unreadable-clock',
  },
  {
    name: 'LetheLeaseFailures',
    expr: `${failedCalls} > 0.05 or ${failedLookups} > 0.05`,
    for: '5m',
    severity: 'page',
    summary:
      '{{ $labels.job }} fails to lease keys in {{ $value | humanizePercentage }} of attempts.',
    runbook: 'lease-failures',
  },
  {
    name: 'LetheRelayLag',
    expr: `max by (${topic}) (${series('lethe.relay.lag')}) > 60`,
    for: '2m',
    severity: 'page',
    summary: `Events of {{ $labels.${topic} }} have waited for the log for {{ $value | humanizeDuration }}.`,
    runbook: 'relay-lag',
  },
  {
    name: 'LetheConsumerLag',
    expr: `max by (${consumer}, ${topic}) (${consumerLag}) > 300`,
    for: '5m',
    severity: 'page',
    summary: `{{ $labels.${consumer} }} is {{ $value | humanizeDuration }} behind on {{ $labels.${topic} }}.`,
    runbook: 'consumer-lag',
  },
  {
    name: 'LetheParkedStreams',
    expr: `max by (job, ${topic}) (${series('lethe.parking.streams')}) > 0`,
    for: '10m',
    severity: 'ticket',
    summary: `{{ $labels.job }} has parked {{ $value }} streams of {{ $labels.${topic} }}.`,
    runbook: 'parked-streams',
  },
  {
    name: 'LetheSequenceGap',
    expr: `max by (job, ${label('lethe.component')}, ${reason}) (${series('lethe.problems')}{${reason}=~"${gapReasons}"}) > 0`,
    for: '0m',
    severity: 'page',
    summary: `{{ $labels.job }} stopped reading: {{ $labels.${reason} }}. Records are missing, or a store is older.`,
    runbook: 'sequence-gap',
  },
  {
    name: 'LetheCoverageGap',
    expr: `max(${series('lethe.ledger.coverage.gap.age')}) > 300`,
    for: '5m',
    severity: 'page',
    summary:
      'A chunk that was committed {{ $value | humanizeDuration }} ago is not in ClickHouse: figures are incomplete.',
    runbook: 'coverage-gap',
  },
  {
    name: 'LetheLedgerStale',
    expr: `min(${series('lethe.ledger.freshness')}) > 900`,
    for: '5m',
    severity: 'ticket',
    summary: 'Figures are complete only up to {{ $value | humanizeDuration }} ago.',
    runbook: 'coverage-gap',
  },
  {
    name: 'LetheRetentionMargin',
    expr: `min by (${consumer}, ${topic}) (${series('lethe.log.retention.margin')}) < 86400`,
    for: '5m',
    severity: 'page',
    summary: `Kafka drops records of {{ $labels.${topic} }} that {{ $labels.${consumer} }} has not read, in {{ $value | humanizeDuration }}.`,
    runbook: 'retention-margin',
  },
  {
    name: 'LetheCompactionBehind',
    expr: `max by (${topic}) (${series('lethe.log.compaction.overdue')}) > 3600`,
    for: '15m',
    severity: 'ticket',
    summary: `Erased records of {{ $labels.${topic} }} stay in the log's files: compaction is {{ $value | humanizeDuration }} behind.`,
    runbook: 'compaction-behind',
  },
  {
    name: 'LetheCertificateNearExpiry',
    expr: `min by (job, ${label('lethe.certificate.use')}) (${series('lethe.tls.certificate.lifetime')}) < 172800`,
    for: '10m',
    severity: 'page',
    summary: `The {{ $labels.${label('lethe.certificate.use')} }} certificate of {{ $labels.job }} ends in {{ $value | humanizeDuration }}.`,
    runbook: 'certificate-near-expiry',
  },
  {
    name: 'LetheKmsAway',
    expr: `max(${series('lethe.kms.away')}) > 30`,
    for: '1m',
    severity: 'page',
    summary: 'The KMS has refused every call for {{ $value | humanizeDuration }}.',
    runbook: 'kms-away',
  },
  {
    name: 'LetheProblem',
    expr: `max by (job, ${label('lethe.component')}, ${reason}) (${series('lethe.problems')}) > 0`,
    for: '10m',
    severity: 'ticket',
    summary: `{{ $labels.job }}: {{ $labels.${label('lethe.component')} }} has a problem, {{ $labels.${reason} }}.`,
    runbook: 'service-problem',
  },
  {
    name: 'LetheServiceNotReady',
    expr: `max by (job) (${series('lethe.ready')}) == 0 or ((${silentServices.join(' or ')}) and on () ${sixAreHeard})`,
    for: '10m',
    severity: 'page',
    summary: 'No process of {{ $labels.job }} is ready, or none is heard of.',
    runbook: 'service-not-ready',
  },
  {
    name: 'LetheTelemetryAbsent',
    expr: `absent(${series('lethe.ready')})`,
    for: '10m',
    severity: 'page',
    summary: 'No process of Lethe is heard of: every other alert is silent too.',
    runbook: 'telemetry-absent',
  },
];

const runbooks = 'docs/operators/runbooks';

/** The groups of a rule file of Prometheus, and of a PrometheusRule. Strings of JSON are strings of YAML. */
export function rulesText(all: readonly Alert[] = alerts): string {
  const rules = all.map(
    ({ name, expr, severity, summary, runbook, ...alert }) =>
      `      - alert: ${name}\n` +
      `        expr: ${JSON.stringify(expr)}\n` +
      `        for: ${alert.for}\n` +
      `        labels: { severity: ${severity} }\n` +
      `        annotations:\n` +
      `          summary: ${JSON.stringify(summary)}\n` +
      `          runbook: ${runbooks}/${runbook}.md\n`,
  );
  return `groups:\n  - name: lethe\n    rules:\n${rules.join('')}`;
}
