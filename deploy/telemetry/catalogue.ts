import { analyticsMetrics } from '../../services/analytics/src/metrics.ts';
import { keysMetrics } from '../../services/keys/src/metrics.ts';
import { consumerMetrics } from '../../services/platform/src/consumer/metrics.ts';
import { appendMetrics } from '../../services/platform/src/event-store/metrics.ts';
import { rpcMetrics } from '../../services/platform/src/grpc/metrics.ts';
import { leaseMetrics } from '../../services/platform/src/key-client/metrics.ts';
import { serviceMetrics } from '../../services/platform/src/lifecycle/metrics.ts';
import { relayMetrics } from '../../services/platform/src/outbox/metrics.ts';
import { parkingMetrics } from '../../services/platform/src/parking/metrics.ts';
import type { AttributeName } from '../../services/platform/src/telemetry/attributes.ts';
import {
  type MetricDefinition,
  type MetricTable,
  prometheusName,
} from '../../services/platform/src/telemetry/metric-table.ts';
import { privacyMetrics } from '../../services/privacy/src/metrics.ts';

/** Every metric that there is, from the tables of the rooms that measure. */
export const metrics = {
  ...analyticsMetrics,
  ...appendMetrics,
  ...consumerMetrics,
  ...keysMetrics,
  ...leaseMetrics,
  ...parkingMetrics,
  ...privacyMetrics,
  ...relayMetrics,
  ...rpcMetrics,
  ...serviceMetrics,
} as const satisfies MetricTable;

export type MetricName = keyof typeof metrics;

type OfKind<Kind extends MetricDefinition['kind']> = {
  [Name in MetricName]: (typeof metrics)[Name]['kind'] extends Kind ? Name : never;
}[MetricName];

/** A gauge or a counter, as Prometheus names it. */
export function series(name: OfKind<'gauge' | 'counter'>): string {
  return prometheusName(name, metrics[name]);
}

/** A histogram's series. */
export function buckets(name: OfKind<'histogram'>): string {
  return `${prometheusName(name, metrics[name])}_bucket`;
}

export function observations(name: OfKind<'histogram'>): string {
  return `${prometheusName(name, metrics[name])}_count`;
}

/** An attribute, as Prometheus names it. */
export function label(name: AttributeName): string {
  return name.replaceAll('.', '_');
}
