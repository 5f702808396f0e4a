import type { UnaryHandler } from '@lethe/platform/grpc/handler.ts';
import {
  type ListMetricsRequest,
  type ListMetricsResponse,
  type MetricDefinition,
  MetricKind,
} from '@lethe/proto/gen/lethe/analytics/v1/service.ts';
import { dimensions } from '../domain/dimensions.ts';
import { type Metric, metrics } from '../domain/metrics.ts';

const kinds: Readonly<Record<Metric['kind'], MetricKind>> = {
  count: MetricKind.METRIC_KIND_COUNT,
  mean: MetricKind.METRIC_KIND_MEAN,
  sum: MetricKind.METRIC_KIND_SUM,
};

/** The catalogue: the same for everybody. */
export function listMetrics(): UnaryHandler<ListMetricsRequest, ListMetricsResponse> {
  const response = { metrics: metrics.map(definitionOf) };
  return async () => response;
}

function definitionOf(metric: Metric): MetricDefinition {
  return {
    id: metric.id,
    version: metric.version,
    description: metric.description,
    unit: metric.unit,
    dimensions: metric.dimensions.map((name) => ({ name, values: [...dimensions[name].values] })),
    kind: kinds[metric.kind],
    requiredDimension: metric.needs ?? '',
  };
}
