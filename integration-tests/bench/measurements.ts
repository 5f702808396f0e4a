import type { Measure } from './figure.ts';
import { type SystemKind, systemKinds } from './real-places.ts';

/** Figures that are measured together, in a process of their own. */
export interface Measurement {
  readonly figures: readonly string[];
  /** After this the process is killed; what it has not told by then is missing. */
  readonly limitMs: number;
  /** The real systems that are started for it with `--real`. */
  readonly needs: readonly SystemKind[];
  /** Whether there is nothing to measure on the embedded stores. */
  readonly isRealOnly?: boolean;
  /** Whether real systems change nothing of what is measured. */
  readonly isEmbeddedOnly?: boolean;
  readonly load: () => Promise<Measure>;
}

/** Everything `npm run bench` measures, in this order. */
export const measurements: readonly Measurement[] = [
  {
    figures: ['seal', 'open'],
    limitMs: 30_000,
    needs: [],
    load: async () => (await import('./seal-open.ts')).measureSealOpen,
  },
  {
    figures: ['cpu-per-event', 'sealing-rate'],
    limitMs: 110_000,
    needs: systemKinds,
    load: async () => {
      // First: what is loaded already cannot be replaced any more.
      (await import('./replace-sealing.ts')).replaceSealing();
      return (await import('./cpu-per-event.ts')).measureCpuPerEvent;
    },
  },
  {
    figures: ['telemetry', 'telemetry-all'],
    limitMs: 130_000,
    needs: [],
    isEmbeddedOnly: true,
    load: async () => (await import('./telemetry-cost.ts')).measureTelemetryCost,
  },
  {
    figures: ['append', 'end-to-end', 'append-p99', 'freshness'],
    limitMs: 90_000,
    needs: systemKinds,
    load: async () => (await import('./append.ts')).measureAppend,
  },
  {
    figures: ['log-append', 'log-read'],
    limitMs: 110_000,
    needs: ['kafka'],
    isRealOnly: true,
    load: async () => (await import('./kafka-log.ts')).measureKafkaLog,
  },
  {
    figures: ['projection'],
    limitMs: 70_000,
    needs: ['kafka', 'postgres', 'clickHouse'],
    load: async () => (await import('./projection.ts')).measureProjection,
  },
  {
    figures: ['unreadable', 'unreadable-p50', 'cold-seals', 'cold-seals-time'],
    limitMs: 70_000,
    needs: systemKinds,
    load: async () => (await import('./keys.ts')).measureKeys,
  },
  {
    figures: ['person-keys', 'ticket-keys'],
    limitMs: 60_000,
    needs: ['postgres'],
    load: async () => (await import('./key-rows.ts')).measureKeyRows,
  },
];
