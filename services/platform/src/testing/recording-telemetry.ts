import type { MetricTable } from '../telemetry/metric-table.ts';
import { type Meter, noSpan, type Telemetry } from '../telemetry/port.ts';

export interface Recorded {
  readonly name: string;
  readonly value: number;
  readonly attributes: object;
}

/** Telemetry that keeps what it is told. */
export interface RecordingTelemetry {
  readonly telemetry: Telemetry;
  /** Counted and recorded so far. */
  readonly recorded: readonly Recorded[];
  /** What a gauge says now. */
  readonly look: (name: string) => Promise<readonly Omit<Recorded, 'name'>[]>;
}

type AnyLook = () => Promise<readonly Omit<Recorded, 'name'>[]>;

export function createRecordingTelemetry(): RecordingTelemetry {
  const recorded: Recorded[] = [];
  const looks = new Map<string, AnyLook[]>();
  const keep = (name: string, value: number, attributes: object) =>
    void recorded.push({ name, value, attributes });
  const meter = <Table extends MetricTable>(): Meter<Table> => ({
    add: keep,
    record: keep,
    observe: (name, look) => {
      const known = looks.get(name) ?? [];
      looks.set(name, [...known, async () => await look()]);
    },
  });
  return {
    recorded,
    look: async (name) =>
      (await Promise.all((looks.get(name) ?? []).map(async (each) => each()))).flat(),
    telemetry: {
      isOn: true,
      meter,
      inSpan: async (_span, work) => await work(noSpan),
      begin: () => noSpan,
      current: () => undefined,
    },
  };
}
