import type { MetricTable } from './metric-table.ts';
import type { Meter, Telemetry } from './port.ts';

export interface EndingObservers {
  readonly telemetry: Telemetry;
  /** From now on nothing is said by what observes through this telemetry. */
  end(): void;
}

/**
 * Telemetry for something that may be given up before the process ends, such as a start that failed: else what it observes
 * would speak for what came after it, and of the two the one that is asked last is believed.
 */
export function observersThatEnd(telemetry: Telemetry): EndingObservers {
  let isOver = false;
  const meter = <Table extends MetricTable>(table: Table): Meter<Table> => {
    const all = telemetry.meter(table);
    return { ...all, observe: (name, look) => all.observe(name, () => (isOver ? [] : look())) };
  };
  return {
    telemetry: { ...telemetry, meter },
    end: () => {
      isOver = true;
    },
  };
}
