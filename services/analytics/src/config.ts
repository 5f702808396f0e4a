import { parseEnvironment } from '@lethe/platform/config/parse-environment.ts';
import { z } from 'zod';

/** How `analytics` is to behave; everything that it talks to comes as a port. */
export interface AnalyticsConfig {
  /** A chunk ends with this many records … */
  readonly chunkRecordsMax: number;
  /** … or after this time, whichever comes first. */
  readonly chunkFillMs: number;
  /** How often owners are asked for the "complete up to" mark. */
  readonly completenessPollMs: number;
  /** An answer with more rows is refused. */
  readonly answerRowsMax: number;
  /** Statements that ClickHouse runs at a time: 1 for the embedded engine. */
  readonly ledgerStatementsMax: number;
  /** Of a replicated ledger, the cluster's name on the servers; undefined: one server. */
  readonly ledgerCluster: string | undefined;
  /** `check`: the tables were made from deploy/clickhouse, and a start refuses what is not as it must be. */
  readonly ledgerTables: 'create' | 'check';
}

const whole = (least: number, most: number, fallback: number) =>
  z.coerce.number().int().min(least).max(most).default(fallback);

/** The variables, with their meaning. */
export const settings = z.object({
  LETHE_ANALYTICS_CHUNK_RECORDS_MAX: whole(1, 50_000, 2_000).describe(
    'A chunk of the projection ends with this many records …',
  ),
  LETHE_ANALYTICS_CHUNK_FILL_MS: whole(1, 60_000, 200).describe(
    '… or after this time, milliseconds, whichever comes first.',
  ),
  LETHE_ANALYTICS_COMPLETENESS_POLL_MS: whole(10, 60_000, 500).describe(
    'How often owners are asked up to when answers are complete, milliseconds.',
  ),
  // 10,000 rows with five dimensions stay well below gRPC's 4 MiB.
  LETHE_ANALYTICS_ANSWER_ROWS_MAX: whole(1, 15_000, 10_000).describe(
    'An answer with more rows is refused.',
  ),
  LETHE_ANALYTICS_LEDGER_STATEMENTS_MAX: whole(1, 256, 16).describe(
    'Statements that ClickHouse runs for this process at a time.',
  ),
  LETHE_ANALYTICS_LEDGER_CLUSTER: z
    .string()
    .regex(/^[a-z][a-z0-9_]{0,62}$/, 'must be lower-case letters, digits and underscores')
    .optional()
    .describe(
      'A replicated ledger: the name of the cluster on the servers; without it one server.',
    ),
  LETHE_ANALYTICS_LEDGER_TABLES: z
    .enum(['create', 'check'])
    .default('create')
    .describe(
      'create makes missing tables at the start, check makes none and refuses what differs.',
    ),
});

/** Pure. Throws CONFIG_INVALID with every broken setting; an empty environment gives the defaults. */
export function parseConfig(env: Readonly<Record<string, string | undefined>>): AnalyticsConfig {
  const read = parseEnvironment('analytics', settings, env);
  return Object.freeze({
    chunkRecordsMax: read.LETHE_ANALYTICS_CHUNK_RECORDS_MAX,
    chunkFillMs: read.LETHE_ANALYTICS_CHUNK_FILL_MS,
    completenessPollMs: read.LETHE_ANALYTICS_COMPLETENESS_POLL_MS,
    answerRowsMax: read.LETHE_ANALYTICS_ANSWER_ROWS_MAX,
    ledgerStatementsMax: read.LETHE_ANALYTICS_LEDGER_STATEMENTS_MAX,
    ledgerCluster: read.LETHE_ANALYTICS_LEDGER_CLUSTER,
    ledgerTables: read.LETHE_ANALYTICS_LEDGER_TABLES,
  });
}
