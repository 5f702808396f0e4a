import { type Decisions, isAccepted } from './accept.ts';
import type { CellChange } from './contributions.ts';
import type { CountedEvent } from './counted-event.ts';
import type { FamilyLayout, MetricFamily } from './families.ts';
import { hourOf } from './time-buckets.ts';

/** One cell of the ledger as a chunk adds to it: tenant, hour, closed codes and the family's measures. */
export interface LedgerCell {
  readonly layout: FamilyLayout;
  readonly tenantId: string;
  /** Hours since 1970. */
  readonly hour: number;
  readonly codes: readonly number[];
  /** Per measure: exact, late, then accepted per grain; see `columnsOf`. */
  readonly values: bigint[];
}

/** Columns of one measure: exact, late and an accepted one per released grain. */
function columnsPerMeasure(family: MetricFamily): number {
  return 2 + family.release.grains.length;
}

/** The measure columns of a family's ledger table, in the order of `LedgerCell.values`. */
export function columnsOf(family: MetricFamily): readonly string[] {
  return family.measures.flatMap(({ name }) => [
    `exact_${name}`,
    `late_${name}`,
    ...family.release.grains.map((grain) => `accepted_${grain}_${name}`),
  ]);
}

/**
 * Folds a chunk: a pure function of the events, in log order, and of the accept decisions made for them. The cells
 * come in the order of their first event. Throws a RangeError when the decisions are not those of these events.
 */
export function fold(events: readonly CountedEvent[], decisions: Decisions): readonly LedgerCell[] {
  const cells = new Map<string, LedgerCell>();
  let claim = 0;
  for (const event of events) {
    for (const change of event.changes) {
      addTo(cellOf(cells, event, change), event, change, decisions, claim);
      claim += change.layout.family.release.grains.length;
    }
  }
  if (claim !== decisions.count) {
    throw new RangeError(`${claim} decisions are needed and ${decisions.count} were stored`);
  }
  return [...cells.values()];
}

function cellOf(
  cells: Map<string, LedgerCell>,
  event: CountedEvent,
  change: CellChange,
): LedgerCell {
  const hour = hourOf(event.occurredAtMs);
  let cellKey = `${change.layout.index}/${event.tenantId}/${hour}`;
  for (const code of change.codes) cellKey += `.${code}`;
  const known = cells.get(cellKey);
  if (known !== undefined) return known;
  const { family } = change.layout;
  const fresh: LedgerCell = {
    layout: change.layout,
    tenantId: event.tenantId,
    hour,
    codes: change.codes,
    values: columnsOf(family).map(() => 0n),
  };
  cells.set(cellKey, fresh);
  return fresh;
}

function addTo(
  cell: LedgerCell,
  event: CountedEvent,
  change: CellChange,
  decisions: Decisions,
  firstClaim: number,
): void {
  const { family } = change.layout;
  for (const { measure, amount } of change.adds) {
    const exact = measure * columnsPerMeasure(family);
    add(cell.values, exact, amount);
    if (event.contributor === undefined) add(cell.values, exact + 1, amount);
    for (let grain = 0; grain < family.release.grains.length; grain += 1) {
      if (isAccepted(decisions, firstClaim + grain)) add(cell.values, exact + 2 + grain, amount);
    }
  }
}

function add(values: bigint[], place: number, amount: bigint): void {
  values[place] = (values[place] ?? 0n) + amount;
}
