import { setTimeout as delay } from 'node:timers/promises';
import {
  AnalyticsServiceService,
  type Grain,
  type QueryMetricResponse,
} from '@lethe/proto/gen/lethe/analytics/v1/service.ts';
import type { Api } from './api.ts';

export interface FiguresWish {
  readonly metricId: string;
  readonly grain: Grain;
  readonly dimensions?: readonly string[];
}

/** Exact figures of the token's tenant. */
export async function queryMetric(
  api: Api,
  token: string,
  { metricId, grain, dimensions = [] }: FiguresWish,
): Promise<QueryMetricResponse> {
  return await api.unary(
    AnalyticsServiceService.queryMetric,
    {
      metricId,
      metricVersion: 0,
      from: undefined,
      to: undefined,
      grain,
      dimensions: [...dimensions],
      filters: [],
    },
    token,
  );
}

/** A figure by what it counts, such as "solved 2026-03-02 priority=high". */
export type Figures = ReadonlyMap<string, string>;

/** The rows of an answer: the exact count, and the exact sum where there is one. */
export function figuresIn(answer: QueryMetricResponse): Figures {
  return new Map(
    answer.rows.map(({ bucket, dimensions, exact, exactSum }) => {
      const by = dimensions.map(({ dimension, value }) => ` ${dimension}=${value}`).join('');
      const name = `${answer.metricId} ${bucket?.toISOString().slice(0, 10) ?? ''}${by}`;
      return [name, exactSum === 0n ? `${exact}` : `${exact} (${exactSum})`] as const;
    }),
  );
}

/** Every metric of the catalogue for the token's tenant; metrics that need a dimension are grouped by it. */
export async function allFigures(api: Api, token: string, grain: Grain): Promise<Figures> {
  const { metrics } = await api.unary(AnalyticsServiceService.listMetrics, {}, token);
  const figures = new Map<string, string>();
  for (const { id, requiredDimension } of metrics) {
    const dimensions = requiredDimension === '' ? [] : [requiredDimension];
    const answer = await queryMetric(api, token, { metricId: id, grain, dimensions });
    for (const [name, figure] of figuresIn(answer)) figures.set(name, figure);
    figures.set(`${id} late`, `${answer.late}`);
  }
  return figures;
}

const pollMs = 100;
/** Longer than any catching-up takes; after it something has stopped. */
const waitMaxMs = 60_000;

/** Waits until the tenant's figures hold everything that was recorded before this call. */
export async function figuresComplete(
  api: Api,
  token: string,
  grain: Grain,
  withinMs = waitMaxMs,
): Promise<void> {
  const momentMs = Date.now();
  for (;;) {
    const { completeUpTo } = await queryMetric(api, token, { metricId: 'created', grain });
    if ((completeUpTo?.getTime() ?? 0) > momentMs) return;
    if (Date.now() - momentMs > withinMs) throw new Error('analytics has not caught up');
    await delay(pollMs);
  }
}
