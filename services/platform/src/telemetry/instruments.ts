import type { Counter, Histogram, Meter as SdkMeter, ObservableGauge } from '@opentelemetry/api';
import { onlyAllowed } from './attributes.ts';
import type { MetricDefinition, MetricTable } from './metric-table.ts';
import type { Look, Meter } from './port.ts';

/** The instruments of a table by the SDK's meter. */
export function createInstruments<Table extends MetricTable>(
  sdk: SdkMeter,
  table: Table,
): Meter<Table> {
  const counters = new Map<string, Counter>();
  const histograms = new Map<string, Histogram>();
  const gauges = new Map<string, ObservableGauge>();
  for (const [name, definition] of Object.entries(table)) {
    const { unit, description } = definition;
    switch (definition.kind) {
      case 'counter':
        counters.set(name, sdk.createCounter(name, { unit, description }));
        break;
      case 'histogram': {
        const advice = { explicitBucketBoundaries: [...definition.boundaries] };
        histograms.set(name, sdk.createHistogram(name, { unit, description, advice }));
        break;
      }
      case 'gauge':
        gauges.set(name, sdk.createObservableGauge(name, { unit, description }));
        break;
    }
  }
  const allowedOf = (name: string) => fewOf(table[name]);
  return {
    add: (name, by, attributes) =>
      counters.get(name)?.add(by, onlyAllowed(attributes, allowedOf(name))),
    record: (name, value, attributes) =>
      histograms.get(name)?.record(value, onlyAllowed(attributes, allowedOf(name))),
    observe: (name, look: Look<Table, typeof name>) => {
      gauges.get(name)?.addCallback(async (result) => {
        for (const { value, attributes } of await look()) {
          result.observe(value, onlyAllowed(attributes, allowedOf(name)));
        }
      });
    },
  };
}

function fewOf(definition: MetricDefinition | undefined) {
  return definition?.attributes ?? [];
}
