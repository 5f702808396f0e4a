/**
 * The tables of an event owner that follow from its log. What does not follow from it is authoritative and stays as it
 * is: fences, erasure jobs, erased ranges, outbox, counters, checkpoints, receipts. In the order in which an append
 * takes them, which is the order in which the swap locks them.
 */
export interface DerivedTable {
  readonly name: 'streams' | 'event_index' | 'records' | 'person_boxes';
  /** The primary key. */
  readonly keyColumns: readonly KeyColumn[];
}

export interface KeyColumn {
  readonly name: string;
  readonly type: 'text' | 'int4' | 'int8' | 'uuid';
}

const tenant = { name: 'tenant_id', type: 'text' } as const;
const streamKey = [
  { name: 'stream_token', type: 'text' },
  { name: 'stream_incarnation', type: 'int4' },
] as const;

export const derivedTables: readonly DerivedTable[] = [
  {
    name: 'streams',
    keyColumns: [tenant, { name: 'token', type: 'text' }, { name: 'incarnation', type: 'int4' }],
  },
  { name: 'event_index', keyColumns: [{ name: 'record_id', type: 'uuid' }] },
  { name: 'records', keyColumns: [tenant, ...streamKey, { name: 'position', type: 'int8' }] },
  {
    name: 'person_boxes',
    keyColumns: [
      tenant,
      { name: 'person_token', type: 'text' },
      { name: 'person_incarnation', type: 'int4' },
      ...streamKey,
    ],
  },
];

/** Everything that a rebuild creates begins so; what is left of one that died is known by it. */
export const workPrefix = 'rebuild_';

/** Of a session: one rebuild of a service at a time, and nobody removes the work of one that runs. */
export const rebuildLock = 'rebuild';

/** The fresh table that is filled from the log. */
export function freshOf(table: Pick<DerivedTable, 'name'>): string {
  return `${workPrefix}${table.name}`;
}

/** Keys of live rows that changed while the rebuild runs, and of those that are to be taken over as they stand. */
export function changesOf(table: Pick<DerivedTable, 'name'>): string {
  return `${workPrefix}changes_${table.name}`;
}

/** Keys of rows that differed when they were compared. */
export function suspectsOf(table: Pick<DerivedTable, 'name'>): string {
  return `${workPrefix}suspects_${table.name}`;
}

/** "tenant_id, token, incarnation", each behind the alias when there is one. */
export function keyList(table: DerivedTable, alias?: string): string {
  const prefix = alias === undefined ? '' : `${alias}.`;
  return table.keyColumns.map(({ name }) => `${prefix}${name}`).join(', ');
}

/** "left.a = right.a and …" over the key. */
export function sameKey(table: DerivedTable, left: string, right: string): string {
  return table.keyColumns.map(({ name }) => `${left}.${name} = ${right}.${name}`).join(' and ');
}

/** Stands for the state of a fresh stream until it is known; no box is empty, so it equals no live state. */
export const unconfirmed = Buffer.alloc(0);
