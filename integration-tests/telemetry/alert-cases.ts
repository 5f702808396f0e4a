import { type ServiceName, serviceNames } from '@lethe/proto/access.ts';
import { label, series } from '../../deploy/telemetry/catalogue.ts';
import { type AlertCase, of, type Samples } from './alert-case.ts';
import { leaseAlertCases } from './lease-alert-cases.ts';

const topic = label('messaging.destination.name');
const consumer = label('lethe.consumer');
const reason = label('error.type');
const component = label('lethe.component');
const use = label('lethe.certificate.use');
const unreadable = (le: string) =>
  of('lethe_erasure_unreadable_duration_seconds_bucket', { job: 'lethe/privacy', le });
const problem = (because: string) =>
  of(series('lethe.problems'), {
    job: 'lethe/analytics',
    [component]: 'projection',
    [reason]: because,
  });

const ready = (values: (name: ServiceName) => string): Samples =>
  serviceNames.map((name) => [
    of(series('lethe.ready'), { job: `lethe/${name}`, instance: 'one' }),
    values(name),
  ]);

/** At least one of each alert; a test holds that. */
export const alertCases: readonly AlertCase[] = [
  {
    alert: 'LetheErasureOverdue',
    fires: [[series('lethe.erasure.open.age'), '7000+60x30']],
    at: '20m',
    summary: 'An erasure was requested 2h 16m 40s ago and is not completed.',
    quiet: [[series('lethe.erasure.open.age'), '0+60x30']],
  },
  {
    alert: 'LetheUnreadableClockAboveBound',
    fires: [[series('lethe.erasure.readable.age'), '0 30 61']],
    at: '2m',
    summary: 'Somebody may still read what was to be erased 1m 1s ago; the bound is 60 s.',
    quiet: [
      [series('lethe.erasure.readable.age'), '0 30 60'],
      [series('lethe.erasure.unfenced.age'), '0 2 0'],
    ],
  },
  {
    alert: 'LetheUnreadableClockAboveBound',
    fires: [[series('lethe.erasure.unfenced.age'), '0 30 90']],
    at: '2m',
    summary: 'Somebody may still read what was to be erased 1m 30s ago; the bound is 60 s.',
    quiet: [[series('lethe.erasure.unfenced.age'), '0 30 0']],
  },
  {
    alert: 'LetheUnreadableClockSlow',
    fires: [
      [unreadable('5'), '0+0x90'],
      [unreadable('10'), '0+1x90'],
      [unreadable('+Inf'), '0+1x90'],
    ],
    at: '80m',
    summary: 'Erasures take 9.95s until they are unreadable (p99 of an hour).',
    quiet: [
      [unreadable('5'), '0+1x90'],
      [unreadable('10'), '0+1x90'],
      [unreadable('+Inf'), '0+1x90'],
    ],
  },
  ...leaseAlertCases,
  {
    alert: 'LetheRelayLag',
    fires: [[of(series('lethe.relay.lag'), { [topic]: 'tickets.v1' }), '0+60x10']],
    at: '5m',
    labels: { [topic]: 'tickets.v1' },
    summary: 'Events of tickets.v1 have waited for the log for 5m 0s.',
    quiet: [[of(series('lethe.relay.lag'), { [topic]: 'tickets.v1' }), '0 60 0 61 0 0 0']],
  },
  {
    alert: 'LetheConsumerLag',
    fires: [
      [of(series('lethe.consumer.lag'), { [consumer]: 'usage', [topic]: 'privacy.v1' }), '0+60x20'],
    ],
    at: '15m',
    labels: { [consumer]: 'usage', [topic]: 'privacy.v1' },
    summary: 'usage is 15m 0s behind on privacy.v1.',
    quiet: [
      [of(series('lethe.consumer.lag'), { [consumer]: 'usage', [topic]: 'privacy.v1' }), '200x20'],
    ],
  },
  {
    alert: 'LetheParkedStreams',
    fires: [
      [
        of(series('lethe.parking.streams'), { job: 'lethe/analytics', [topic]: 'usage.v1' }),
        '2x20',
      ],
    ],
    at: '15m',
    labels: { job: 'lethe/analytics', [topic]: 'usage.v1' },
    summary: 'lethe/analytics has parked 2 streams of usage.v1.',
    quiet: [
      [
        of(series('lethe.parking.streams'), { job: 'lethe/analytics', [topic]: 'usage.v1' }),
        '0x20',
      ],
    ],
  },
  {
    alert: 'LetheSequenceGap',
    fires: [[problem('SEQUENCE_GAP'), '0 1']],
    at: '1m',
    labels: { job: 'lethe/analytics', [component]: 'projection', [reason]: 'SEQUENCE_GAP' },
    summary:
      'lethe/analytics stopped reading: SEQUENCE_GAP. Records are missing, or a store is older.',
    quiet: [[problem('STORE_UNAVAILABLE'), '0 1']],
  },
  {
    alert: 'LetheSequenceGap',
    fires: [[problem('LOG_BEHIND_CHECKPOINT'), '0 1']],
    at: '1m',
    labels: {
      job: 'lethe/analytics',
      [component]: 'projection',
      [reason]: 'LOG_BEHIND_CHECKPOINT',
    },
    summary:
      'lethe/analytics stopped reading: LOG_BEHIND_CHECKPOINT. Records are missing, or a store is older.',
    quiet: [[problem('CHECKPOINT_MOVED'), '0 1']],
  },
  {
    alert: 'LetheCoverageGap',
    fires: [[series('lethe.ledger.coverage.gap.age'), '0+60x20']],
    at: '15m',
    summary: 'A chunk that was committed 15m 0s ago is not in ClickHouse: figures are incomplete.',
    quiet: [[series('lethe.ledger.coverage.gap.age'), '2x20']],
  },
  {
    alert: 'LetheLedgerStale',
    fires: [[series('lethe.ledger.freshness'), '0+60x40']],
    at: '30m',
    summary: 'Figures are complete only up to 30m 0s ago.',
    quiet: [[series('lethe.ledger.freshness'), '3x40']],
  },
  {
    alert: 'LetheRetentionMargin',
    fires: [
      [
        of(series('lethe.log.retention.margin'), { [consumer]: 'keys', [topic]: 'privacy.v1' }),
        '90000-600x20',
      ],
    ],
    at: '15m',
    labels: { [consumer]: 'keys', [topic]: 'privacy.v1' },
    summary: 'Kafka drops records of privacy.v1 that keys has not read, in 22h 30m 0s.',
    quiet: [
      [
        of(series('lethe.log.retention.margin'), { [consumer]: 'keys', [topic]: 'privacy.v1' }),
        '+Inf+0x20',
      ],
    ],
  },
  {
    alert: 'LetheCompactionBehind',
    fires: [[of(series('lethe.log.compaction.overdue'), { [topic]: 'usage.v1' }), '3000+60x40']],
    at: '30m',
    labels: { [topic]: 'usage.v1' },
    summary: "Erased records of usage.v1 stay in the log's files: compaction is 1h 20m 0s behind.",
    quiet: [[of(series('lethe.log.compaction.overdue'), { [topic]: 'usage.v1' }), '60x40']],
  },
  {
    alert: 'LetheCertificateNearExpiry',
    fires: [
      [
        of(series('lethe.tls.certificate.lifetime'), { job: 'lethe/keys', [use]: 'internal' }),
        '172000-60x20',
      ],
    ],
    at: '15m',
    labels: { job: 'lethe/keys', [use]: 'internal' },
    summary: 'The internal certificate of lethe/keys ends in 1d 23h 31m 40s.',
    quiet: [
      [
        of(series('lethe.tls.certificate.lifetime'), { job: 'lethe/keys', [use]: 'internal' }),
        '345600-60x20',
      ],
    ],
  },
  {
    alert: 'LetheKmsAway',
    fires: [[series('lethe.kms.away'), '0+60x10']],
    at: '5m',
    summary: 'The KMS has refused every call for 5m 0s.',
    quiet: [[series('lethe.kms.away'), '0 20 0 20 0 0 0']],
  },
  {
    alert: 'LetheProblem',
    fires: [[problem('STORE_UNAVAILABLE'), '1x20']],
    at: '15m',
    labels: { job: 'lethe/analytics', [component]: 'projection', [reason]: 'STORE_UNAVAILABLE' },
    summary: 'lethe/analytics: projection has a problem, STORE_UNAVAILABLE.',
    quiet: [[problem('STORE_UNAVAILABLE'), '1 1 0 1 1 0 1 1 0 1 1 0 1 1 0 1']],
  },
  {
    alert: 'LetheServiceNotReady',
    fires: ready((name) => (name === 'keys' ? '0x20' : '1x20')),
    at: '15m',
    labels: { job: 'lethe/keys' },
    summary: 'No process of lethe/keys is ready, or none is heard of.',
    // A pod that restarts, and another that is there.
    quiet: [
      ...ready(() => '1 1 0 0 1x20'),
      [of(series('lethe.ready'), { job: 'lethe/tickets', instance: 'another' }), '0x20'],
    ],
  },
  {
    alert: 'LetheServiceNotReady',
    fires: ready((name) => (name === 'privacy' ? '1 1 _x20' : '1x20')),
    at: '20m',
    labels: { job: 'lethe/privacy' },
    summary: 'No process of lethe/privacy is ready, or none is heard of.',
    quiet: [[of(series('lethe.ready'), { job: 'lethe/standalone' }), '1x20']],
  },
  {
    // Ends at each start, as with LEDGER_AHEAD_OF_TABLE, and is heard of now and then.
    alert: 'LetheServiceNotReady',
    fires: ready((name) =>
      name === 'analytics' ? '1 1 0 stale 0 stale _ 0 stale _ _ _ 0 stale _ _ _ 0' : '1x20',
    ),
    at: '17m',
    labels: { job: 'lethe/analytics' },
    summary: 'No process of lethe/analytics is ready, or none is heard of.',
    quiet: ready((name) => (name === 'analytics' ? '1 1 0 stale 0 stale _ 0 1x20' : '1x20')),
  },
  {
    alert: 'LetheTelemetryAbsent',
    fires: [],
    at: '20m',
    summary: 'No process of Lethe is heard of: every other alert is silent too.',
    quiet: [[of(series('lethe.ready'), { job: 'lethe/keys' }), '0x20']],
  },
];
