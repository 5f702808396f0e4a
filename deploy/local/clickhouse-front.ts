/**
 * A stand-in for a ClickHouse server where there is none: its HTTP interface over the in-process engine, as a process of
 * its own. For trying and for contracts alone: one query at a time, no users but one, no streaming, no cluster.
 *
 *   node deploy/local/clickhouse-front.ts PORT FOLDER [PASSWORD_FILE]
 */
import { timingSafeEqual } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import path from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { Session } from 'chdb';

/** Of the URL's parameters, those that are no settings of the query. */
const aboutTheRequest: ReadonlySet<string> = new Set([
  'query',
  'database',
  'default_format',
  'query_id',
  'session_id',
  'session_timeout',
  'session_check',
  'user',
  'password',
  'role',
  'compress',
  'decompress',
  'enable_http_compression',
  'send_progress_in_http_headers',
  'wait_end_of_query',
  'http_headers_progress_interval_ms',
  'cancel_http_readonly_queries_on_client_close',
]);

const formatClause = /\bFORMAT\s+(\w+)\s*;?\s*$/i;
/** ClickHouse's numbers of what a server answers with 404: an unknown table, an unknown database. */
const unknownCodes: ReadonlySet<string> = new Set(['60', '81']);
const authenticationFailed = '516';

interface Asked {
  readonly statement: string;
  readonly data: Buffer;
  readonly parameters: URLSearchParams;
}

class EngineError extends Error {
  override readonly name = 'EngineError';
  readonly code: string;

  constructor(said: string) {
    // What a server says begins here.
    super(said.slice(Math.max(0, said.indexOf('Code:'))));
    this.code = /Code: (\d+)/.exec(said)?.[1] ?? '1001';
  }
}

function quoted(value: string): string {
  return `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

/** Runs one statement after another: the engine's settings and parameters belong to its one session. */
function createEngine(folder: string) {
  const session = new Session(folder);
  let last: Promise<unknown> = Promise.resolve();
  let inserts = 0;
  const run = async (statement: string, format = 'TabSeparated'): Promise<Buffer> => {
    try {
      return Buffer.from((await session.queryAsync(statement, { format })).bytes());
    } catch (error) {
      throw new EngineError(error instanceof Error ? error.message : String(error));
    }
  };
  const answer = async ({ statement, data, parameters }: Asked) => {
    const database = parameters.get('database');
    if (database !== null) await run(`USE \`${database.replaceAll('`', '')}\``);
    const settings = [...parameters].filter(([name]) => !aboutTheRequest.has(name));
    for (const [name, value] of settings) await run(`SET ${name} = ${quoted(value)}`);
    try {
      const format = formatClause.exec(statement)?.[1];
      if (data.length > 0 && format !== undefined) {
        inserts += 1;
        const file = path.join(folder, `insert-${inserts}`);
        writeFileSync(file, data);
        try {
          const from = `FROM INFILE ${quoted(file)} FORMAT ${format}`;
          return { format, body: await run(statement.replace(formatClause, from)) };
        } finally {
          rmSync(file, { force: true });
        }
      }
      const wished = format ?? parameters.get('default_format') ?? 'TabSeparated';
      const text = `${statement.replace(formatClause, '')}\n${data.toString('utf8')}`;
      return { format: wished, body: await run(text, wished) };
    } finally {
      // A request's settings end with it; its parameters are set anew by the next that has them.
      for (const [name] of settings) {
        if (!name.startsWith('param_')) await run(`SET ${name} = DEFAULT`);
      }
    }
  };
  return (asked: Asked) => {
    const next = last.then(async () => await answer(asked));
    last = next.catch(() => undefined);
    return next;
  };
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks);
  return request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body;
}

function isLoggedIn(request: IncomingMessage, password: string): boolean {
  if (password === '') return true;
  const [a, b] = [Buffer.from(passwordIn(request)), Buffer.from(password)];
  return a.length === b.length && timingSafeEqual(a, b);
}

/** The client sends a header of its own to servers whose authority it was given, and Basic to others. */
function passwordIn({ headers }: IncomingMessage): string {
  const own = headers['x-clickhouse-key'];
  if (typeof own === 'string') return own;
  const [scheme, encoded = ''] = (headers.authorization ?? '').split(' ');
  if (scheme !== 'Basic') return '';
  return Buffer.from(encoded, 'base64').toString('utf8').split(':').slice(1).join(':');
}

function createHandler(engine: ReturnType<typeof createEngine>, password: string) {
  return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(request.url ?? '/', 'http://front');
    const body = await bodyOf(request);
    if (url.pathname === '/ping') {
      response.end('Ok.\n');
      return;
    }
    const parameters = url.searchParams;
    response.setHeader('X-ClickHouse-Query-Id', parameters.get('query_id') ?? '');
    try {
      if (!isLoggedIn(request, password)) {
        const said = 'DB::Exception: Authentication failed (AUTHENTICATION_FAILED)';
        throw new EngineError(`Code: ${authenticationFailed}. ${said}`);
      }
      const inUrl = parameters.get('query');
      const asked = {
        statement: inUrl ?? body.toString('utf8'),
        data: inUrl === null ? Buffer.alloc(0) : body,
        parameters,
      };
      const { format, body: answer } = await engine(asked);
      const mayZip = String(request.headers['accept-encoding'] ?? '').includes('gzip');
      const isZipped = mayZip && parameters.get('enable_http_compression') === '1';
      response.setHeader('X-ClickHouse-Format', format);
      response.setHeader('X-ClickHouse-Summary', '{"read_rows":"0","written_rows":"0"}');
      if (isZipped) response.setHeader('Content-Encoding', 'gzip');
      response.end(isZipped ? gzipSync(answer, { level: 1 }) : answer);
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      response.statusCode = unknownCodes.has(error.code) ? 404 : 500;
      if (error.code === authenticationFailed) response.statusCode = 403;
      response.setHeader('X-ClickHouse-Exception-Code', error.code);
      response.end(`${error.message}\n`);
    }
  };
}

const [port, folder, passwordFile] = process.argv.slice(2);
if (port === undefined || folder === undefined) {
  process.stderr.write('clickhouse-front.ts PORT FOLDER [PASSWORD_FILE]\n');
  process.exit(2);
}
const password = passwordFile === undefined ? '' : readFileSync(passwordFile, 'utf8').trimEnd();
const handle = createHandler(createEngine(folder), password);
const server = createServer((request, response) => {
  handle(request, response).catch((error: unknown) => {
    process.stderr.write(`${String(error)}\n`);
    response.destroy();
  });
});
server.listen(Number(port), '127.0.0.1', () => process.stdout.write('listening\n'));
