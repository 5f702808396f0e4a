import fc from 'fast-check';
import type { TenantId } from '@lethe/platform/ids/ids.ts';
import type { CellChange } from '../domain/contributions.ts';
import type { CountedEvent } from '../domain/counted-event.ts';
import { families, layouts, type MetricFamily } from '../domain/families.ts';

const startMs = Date.UTC(2025, 0, 20);

/** Few tenants, people, codes and days, so that the caps are met often. */
const changeArbitrary: fc.Arbitrary<CellChange> = fc
  .constantFrom<MetricFamily>(...families)
  .chain((family) =>
    fc.record({
      layout: fc.constant(layouts[family.name]),
      codes: fc.tuple(...family.dimensions.map(() => fc.nat({ max: 2 }))),
      adds: fc.nat({ max: family.measures.length - 1 }).map((measure) =>
        family.measures[measure]?.kind === 'sum' ||
        family.measures.some(({ kind }) => kind === 'sum')
          ? [
              { measure: 0, amount: 1n },
              { measure: 1, amount: 5n },
            ]
          : [{ measure, amount: 1n }],
      ),
    }),
  );

/** Events of six weeks over three calendar months, some of closed months. */
export const eventArbitrary: fc.Arbitrary<CountedEvent> = fc.record({
  tenantId: fc.constantFrom('acme' as TenantId, 'bolt' as TenantId),
  occurredAtMs: fc.nat({ max: 42 * 24 - 1 }).map((hours) => startMs + hours * 3_600_000 + 1),
  contributor: fc.option(
    fc.constantFrom('00000000000000a1', 'f0f0f0f0f0f0f0b2', '123456789abcdef0'),
    { nil: undefined, freq: 8 },
  ),
  changes: fc.array(changeArbitrary, { maxLength: 2 }),
});

export const eventsArbitrary = fc.array(eventArbitrary, { maxLength: 120 });
