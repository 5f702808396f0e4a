import type { PGlite } from '@electric-sql/pglite';
import { protocol } from '@electric-sql/pglite';

/** What a statement answered. */
export interface Answer {
  readonly rows: readonly Readonly<Record<string, unknown>>[];
  readonly affected: number;
  /** Such as "INSERT" or "ROLLBACK". */
  readonly command: string;
}

/** A statement that PostgreSQL refused. */
export class StatementError extends Error {
  override readonly name = 'StatementError';
  readonly code: string;
  readonly constraint: string | undefined;
  readonly table: string | undefined;

  constructor(message: string, code: string, constraint?: string, table?: string) {
    super(message);
    this.code = code;
    this.constraint = constraint;
    this.table = table;
  }
}

/**
 * PGlite's one connection, synchronously and with prepared statements: a statement costs a fifth of what
 * `PGlite.query` takes, which parses it anew each time.
 */
export interface Wire {
  /** One statement, with parameters. */
  query(text: string, parameters: readonly unknown[]): Answer;
  /** Statements without parameters. */
  control(text: string): Answer;
}

const { serialize, Parser } = protocol;

export function createWire(pglite: PGlite): Wire {
  const prepared = new Map<string, string>();
  const send = (message: Uint8Array): Answer => readAnswer(pglite.execProtocolRawSync(message));
  const prepare = (text: string): string => {
    const known = prepared.get(text);
    if (known !== undefined) return known;
    const name = `s${prepared.size}`;
    send(Buffer.concat([serialize.parse({ name, text }), serialize.sync()]));
    prepared.set(text, name);
    return name;
  };
  // Planned once: what a run asks is small, and planning costs more than the answer.
  send(serialize.query('set plan_cache_mode = force_generic_plan; set jit = off'));
  return {
    query: (text, parameters) => {
      const statement = prepare(text);
      const values = parameters.map(encodeValue);
      const message = Buffer.concat([
        serialize.bind({ statement, values }),
        describePortal,
        executePortal,
        sync,
      ]);
      return send(message);
    },
    control: (text) => send(serialize.query(text)),
  };
}

const describePortal = serialize.describe({ type: 'P', name: '' });
const executePortal = serialize.execute({});
const sync = serialize.sync();

function encodeValue(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  if (Array.isArray(value)) return `{${value.map(encodeElement).join(',')}}`;
  if (value instanceof Uint8Array) return `\\x${Buffer.from(value).toString('hex')}`;
  if (value instanceof Date) return value.toISOString();
  if (typeof value === 'object') return JSON.stringify(value);
  if (typeof value === 'boolean') return value ? 't' : 'f';
  return String(value as string | number | bigint);
}

function encodeElement(value: unknown): string {
  const text = encodeValue(value);
  if (text === null) return 'null';
  if (typeof value === 'number' || typeof value === 'bigint') return text;
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}

interface Column {
  readonly name: string;
  readonly decode: (text: string) => unknown;
}

/** The messages of a backend that matter here; https://www.postgresql.org/docs/15/protocol-message-formats.html */
interface BackendMessage {
  readonly name: string;
  readonly text?: string;
  readonly fields?: readonly unknown[];
  readonly code?: string;
  readonly message?: string;
  readonly constraint?: string;
  readonly table?: string;
}

function readAnswer(bytes: Uint8Array): Answer {
  let columns: readonly Column[] = [];
  let rows: Record<string, unknown>[] = [];
  let tag = '';
  let refused: StatementError | undefined;
  new Parser().parse(bytes, (message: BackendMessage) => {
    if (message.name === 'rowDescription') {
      columns = (message.fields ?? []).map(columnOf);
      rows = [];
    } else if (message.name === 'dataRow') {
      rows.push(rowOf(columns, message.fields ?? []));
    } else if (message.name === 'commandComplete') {
      tag = message.text ?? '';
    } else if (message.name === 'error') {
      const { code = 'XX000', constraint, table } = message;
      refused = new StatementError(message.message ?? 'refused', code, constraint, table);
    }
  });
  if (refused !== undefined) throw refused;
  const affected = /\d+$/.exec(tag)?.[0];
  return { rows, affected: Number(affected ?? 0), command: tag.split(' ')[0] ?? '' };
}

function rowOf(columns: readonly Column[], fields: readonly unknown[]): Record<string, unknown> {
  const row: Record<string, unknown> = {};
  for (const [index, { name, decode }] of columns.entries()) {
    const field = fields[index];
    row[name] = typeof field === 'string' ? decode(field) : null;
  }
  return row;
}

function columnOf(field: unknown): Column {
  const { name, dataTypeID } = field as { readonly name: string; readonly dataTypeID: number };
  return { name, decode: decoders[dataTypeID] ?? asText };
}

const asText = (text: string): unknown => text;

/** By type oid, as the adapters of the platform read them: int8 as bigint, bytea as Buffer. */
const decoders: Readonly<Record<number, (text: string) => unknown>> = {
  16: (text) => text === 't',
  17: (text) => Buffer.from(text.slice(2), 'hex'),
  20: (text) => BigInt(text),
  21: Number,
  23: Number,
  26: Number,
  700: Number,
  701: Number,
  114: (text) => JSON.parse(text) as unknown,
  3802: (text) => JSON.parse(text) as unknown,
  1007: (text) => elementsOf(text).map(Number),
  1016: (text) => elementsOf(text).map(BigInt),
  1009: elementsOf,
};

/** Of arrays of numbers and plain words. */
function elementsOf(text: string): string[] {
  const inner = text.slice(1, -1);
  return inner === '' ? [] : inner.split(',').map((each) => each.replace(/^"|"$/g, ''));
}
