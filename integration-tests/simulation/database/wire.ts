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

const { serialize } = protocol;

interface Prepared {
  readonly name: string;
  /** Known once it was executed. */
  columns: readonly Column[] | undefined;
}

export function createWire(pglite: PGlite): Wire {
  const prepared = new Map<string, Prepared>();
  const send = (message: Uint8Array): Received => {
    const chunks: Buffer[] = [];
    // It runs before it returns its promise. `execProtocolRawSync` would read the answer too, and keep it for ever.
    const sent = pglite.execProtocolRawStream(message, {
      syncToFs: false,
      onRawData: (data) => chunks.push(Buffer.from(data)),
    });
    sent.catch(() => undefined);
    return receive(chunks.length === 1 ? (chunks[0] ?? empty) : Buffer.concat(chunks));
  };
  const prepare = (text: string): Prepared => {
    const known = prepared.get(text);
    if (known !== undefined) return known;
    const fresh: Prepared = { name: `s${prepared.size}`, columns: undefined };
    send(Buffer.concat([serialize.parse({ name: fresh.name, text }), serialize.sync()]));
    prepared.set(text, fresh);
    return fresh;
  };
  // Planned once: what a run asks is small, and planning costs more than the answer.
  send(serialize.query('set plan_cache_mode = force_generic_plan; set jit = off'));
  return {
    query: (text, parameters) => {
      const statement = prepare(text);
      const bound = bindMessage(statement.name, parameters);
      // What the columns are is asked once.
      const asks = statement.columns === undefined ? [describePortal] : [];
      const received = send(Buffer.concat([bound, ...asks, executePortal, sync]));
      statement.columns ??= received.columns;
      return answerOf(received, statement.columns);
    },
    control: (text) => {
      const received = send(serialize.query(text));
      return answerOf(received, received.columns);
    },
  };
}

const describePortal = serialize.describe({ type: 'P', name: '' });
const executePortal = serialize.execute({});
const sync = serialize.sync();

/** Bind: the unnamed portal, parameters as text, results as text. */
function bindMessage(statement: string, parameters: readonly unknown[]): Buffer {
  const values = parameters.map((each) => {
    const text = encodeValue(each);
    return text === null ? undefined : Buffer.from(text);
  });
  const bytes = values.reduce((sum, each) => sum + 4 + (each?.length ?? 0), 0);
  const message = Buffer.allocUnsafe(1 + 4 + 1 + statement.length + 1 + 2 + 2 + bytes + 2);
  let at = message.writeUInt8(0x42, 0);
  at = message.writeInt32BE(message.length - 1, at);
  at = message.writeUInt8(0, at);
  at += message.write(statement, at, 'latin1');
  at = message.writeUInt8(0, at);
  at = message.writeInt16BE(0, at);
  at = message.writeInt16BE(values.length, at);
  for (const value of values) {
    at = message.writeInt32BE(value?.length ?? -1, at);
    if (value !== undefined) at += value.copy(message, at);
  }
  message.writeInt16BE(0, at);
  return message;
}

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

interface Received {
  readonly columns: readonly Column[];
  /** Bodies of the row messages. */
  readonly rows: readonly Buffer[];
  readonly tag: string;
}

/** The backend's messages that matter here: https://www.postgresql.org/docs/15/protocol-message-formats.html */
function receive(bytes: Buffer): Received {
  let columns: readonly Column[] = [];
  let rows: Buffer[] = [];
  let tag = '';
  let refused: StatementError | undefined;
  let isWhole = false;
  for (let at = 0; at < bytes.length;) {
    const kind = bytes.readUInt8(at);
    const end = at + 1 + bytes.readInt32BE(at + 1);
    const body = bytes.subarray(at + 5, end);
    if (kind === 0x54) {
      columns = columnsOf(body);
      rows = [];
    } else if (kind === 0x44) rows.push(body);
    else if (kind === 0x43) tag = body.toString('latin1', 0, body.length - 1);
    else if (kind === 0x45) refused = refusalOf(body);
    at = end;
    isWhole = kind === 0x5a;
  }
  if (!isWhole) throw new Error('the database broke off');
  if (refused !== undefined) throw refused;
  return { columns, rows, tag };
}

function answerOf({ rows, tag }: Received, columns: readonly Column[]): Answer {
  const affected = /\d+$/.exec(tag)?.[0];
  return {
    rows: rows.map((body) => rowOf(columns, body)),
    affected: Number(affected ?? 0),
    command: tag.split(' ')[0] ?? '',
  };
}

function rowOf(columns: readonly Column[], body: Buffer): Record<string, unknown> {
  const row: Record<string, unknown> = {};
  let at = 2;
  for (const { name, decode } of columns) {
    const length = body.readInt32BE(at);
    at += 4;
    row[name] = length < 0 ? null : decode(body.toString('utf8', at, at + length));
    at += Math.max(0, length);
  }
  return row;
}

function columnsOf(body: Buffer): Column[] {
  const count = body.readInt16BE(0);
  let at = 2;
  return Array.from({ length: count }, () => {
    const end = body.indexOf(0, at);
    const name = body.toString('utf8', at, end);
    // After the name: table 4, column 2, type 4, size 2, modifier 4, format 2.
    const type = body.readInt32BE(end + 7);
    at = end + 19;
    return { name, decode: decoders[type] ?? asText };
  });
}

function refusalOf(body: Buffer): StatementError {
  const fields = new Map<string, string>();
  for (let at = 0; at < body.length && body[at] !== 0;) {
    const end = body.indexOf(0, at + 1);
    fields.set(body.toString('latin1', at, at + 1), body.toString('utf8', at + 1, end));
    at = end + 1;
  }
  const said = fields.get('M') ?? 'refused';
  return new StatementError(said, fields.get('C') ?? 'XX000', fields.get('n'), fields.get('t'));
}

const empty = Buffer.alloc(0);

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
