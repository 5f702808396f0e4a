import { spawnSync } from 'node:child_process';
import { writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PGlite } from '@electric-sql/pglite';
import { createPgliteDatabases, pgliteOptions } from '@lethe/platform/database/pglite.ts';
import { failureText } from '@lethe/platform/errors/failure.ts';
import { sql } from 'kysely';
import { mountSmallVolume } from '../journeys/full-disk-volume.ts';

/** What became of a database that could not write its log; printed as one line of JSON. */
export interface PanicReport {
  /** Rows whose commit was acknowledged, in order. */
  readonly committed: readonly number[];
  /** The signal that ended the process; null when it ended by itself, with a reason. */
  readonly signal: string | null;
  /** The last line that it wrote: the reason. */
  readonly lastWords: string;
  /** Rows that another process found once there was room, in order. */
  readonly found: readonly number[];
}

const megabytes = 150;
/** Less than a segment of PostgreSQL's log (16 MiB), and enough for the table. */
const leftBytes = 4 * 1024 * 1024;
/** Of PostgreSQL's log, per transaction: some 90 of them fill the segment that there is. */
const messageBytes = 100_000;
const rowsMax = 2_000;
/** What is not answered for so long and 10 s more is ended by a thread. */
const queryTimeoutMs = 20_000;
const childMaxMs = 240_000;

interface PanicSchema {
  filling: { row: number };
}

async function open(folder: string, onHung: (reason: string) => void) {
  const pglite = await PGlite.create(join(folder, 'pg'), pgliteOptions);
  const options = { onHung, queryTimeoutMs, killsHungProcess: true };
  const databases = createPgliteDatabases(pglite, options);
  return { databases, db: databases.database<PanicSchema>('panic') };
}

async function create(folder: string): Promise<void> {
  const { databases, db } = await open(folder, () => {});
  await sql`create table filling (row int4 primary key)`.execute(db);
  await databases.close();
}

/** Commits row by row, each with much of the database's log, and says each at once; ends as standalone does. */
async function fill(folder: string): Promise<void> {
  const end = (reason: string): void => {
    writeSync(2, `${reason}\n`);
    process.exit(0);
  };
  const { db } = await open(folder, end);
  for (let row = 0; row < rowsMax; row += 1) {
    try {
      await db.transaction().execute(async (tx) => {
        await sql`insert into filling values (${row})`.execute(tx);
        await sql`select pg_logical_emit_message(true, '', repeat('x', ${messageBytes}::int4))`.execute(
          tx,
        );
      });
    } catch (error) {
      end(failureText(error));
    }
    writeSync(1, `${row}\n`);
  }
}

async function read(folder: string): Promise<void> {
  const { databases, db } = await open(folder, () => {});
  const { rows } = await sql<{ row: number }>`select row from filling order by row`.execute(db);
  for (const { row } of rows) writeSync(1, `${row}\n`);
  await databases.close();
}

function inProcess(mode: 'create' | 'fill' | 'read', folder: string) {
  const args = [fileURLToPath(import.meta.url), mode, folder];
  const ended = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: childMaxMs });
  const { signal, status, stdout, stderr } = ended;
  if (signal !== 'SIGKILL' && status !== 0) throw new Error(`${mode}: ${signal} ${stderr}`);
  const rows = stdout.split('\n').flatMap((line) => (line === '' ? [] : Number(line)));
  return { rows, signal, lastWords: stderr.trimEnd().split('\n').at(-1) ?? '' };
}

/** Arguments: the folder to mount at, in a mount namespace of its own; or a mode and a folder. */
async function main([mode = '', folder = '']: readonly string[]): Promise<void> {
  if (mode === 'create') return await create(folder);
  if (mode === 'fill') return await fill(folder);
  if (mode === 'read') return await read(folder);
  const volume = mountSmallVolume(join(mode, 'volume'), megabytes);
  inProcess('create', volume.folder);
  volume.leaveFree(leftBytes);
  const { rows: committed, signal, lastWords } = inProcess('fill', volume.folder);
  volume.makeRoom();
  const { rows: found } = inProcess('read', volume.folder);
  const report: PanicReport = { committed, signal, lastWords, found };
  process.stdout.write(`${JSON.stringify(report)}\n`);
}

await main(process.argv.slice(2));
