import { type FamilyName, type MetricFamily, projectionVersion } from './families.ts';
import { columnsOf, type LedgerCell } from './fold.ts';
import { hourMs, monthOf } from './time-buckets.ts';

/** What one insert into the ledger carries: the rows of one family and month, encoded once and for ever. */
export interface LedgerInsert {
  readonly family: FamilyName;
  /** year * 12 + (month - 1) */
  readonly month: number;
  readonly rows: number;
  /** TabSeparatedWithNames: the columns stand in the body, so that it stays valid when the table grows a column. */
  readonly body: Buffer;
}

/** The columns of a family's ledger table, in the order in which rows are written. */
export function ledgerColumns(family: MetricFamily): readonly string[] {
  return [
    'tenant_id',
    'hour',
    ...family.dimensions,
    'projection_version',
    'manifest_id',
    ...columnsOf(family),
  ];
}

/**
 * Encodes a chunk's cells for ClickHouse. The manifest id and the projection version are part of every row's key, so
 * that the same bytes may be inserted any number of times. Tenant ids and numbers need no escaping.
 */
export function encodeLedgerRows(
  cells: readonly LedgerCell[],
  manifestId: string,
): readonly LedgerInsert[] {
  const groups = new Map<string, LedgerCell[]>();
  for (const cell of cells) {
    const groupKey = `${cell.layout.index}/${monthOf(cell.hour * hourMs)}`;
    const group = groups.get(groupKey);
    if (group === undefined) groups.set(groupKey, [cell]);
    else group.push(cell);
  }
  return [...groups.values()].flatMap((group) => encodeGroup(group, manifestId));
}

function encodeGroup(group: readonly LedgerCell[], manifestId: string): readonly LedgerInsert[] {
  const [first] = group;
  if (first === undefined) return [];
  const { family } = first.layout;
  const lines = group.map((cell) =>
    [
      cell.tenantId,
      cell.hour * (hourMs / 1000),
      ...cell.codes,
      projectionVersion,
      manifestId,
      ...cell.values,
    ].join('\t'),
  );
  const body = Buffer.from(`${ledgerColumns(family).join('\t')}\n${lines.join('\n')}\n`);
  return [{ family: family.name, month: monthOf(first.hour * hourMs), rows: group.length, body }];
}
