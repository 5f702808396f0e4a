import { type Dirent, existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { recordsOnLog } from '../harness/killed-tour.ts';
import { type ProbedMemory, snapshotFileOf } from './memory-probe.ts';
import type { MemorySample } from './memory-verdict.ts';

/** What a server uses, with how far it was. Bytes. */
export interface ServerSample
  extends MemorySample, Omit<ProbedMemory, 'atMs' | 'pid' | 'wasmMemories'> {
  readonly wasm: number;
  /** Pages of PGlite's memory that it has touched. */
  readonly wasmResident: number;
  /** RSS without what V8 knows of: ClickHouse above all, SQLite, the code. */
  readonly rest: number;
  readonly postgresBytes: number;
  readonly logBytes: number;
  readonly clickHouseBytes: number;
  /** How far the ledger was behind. */
  readonly ledgerBehindS: number;
}

/** The environment of a server that is measured. */
export function probedEnv(probeFile: string): Readonly<Record<string, string>> {
  const probe = join(import.meta.dirname, 'memory-probe.ts');
  return { NODE_OPTIONS: `--import=${probe}`, LETHE_MEMORY_PROBE: probeFile };
}

/** Undefined before the probe's first word. */
export function readProbe(probeFile: string): ProbedMemory | undefined {
  if (!existsSync(probeFile)) return undefined;
  try {
    return JSON.parse(readFileSync(probeFile, 'utf8')) as ProbedMemory;
  } catch {
    // Read in the middle of being written.
    return undefined;
  }
}

/** Has the server write what is on its heap; answers the file, as the DevTools of Chrome read it. */
export async function takeSnapshot(probeFile: string): Promise<string> {
  const probed = readProbe(probeFile);
  if (probed === undefined) throw new Error(`nothing was probed; see ${probeFile}`);
  const snapshot = snapshotFileOf(probeFile);
  process.kill(probed.pid, 'SIGUSR2');
  for (let waitedS = 0; !existsSync(snapshot); waitedS += 1) {
    if (waitedS === snapshotTakesMaxS) throw new Error(`no heap snapshot after ${waitedS} s`);
    await delay(1_000);
  }
  return snapshot;
}

const snapshotTakesMaxS = 300;

/** Bytes of all files in a folder; what goes away while we look counts as nothing. */
export function folderBytes(folder: string): number {
  let bytes = 0;
  for (const entry of entriesOf(folder)) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) bytes += folderBytes(path);
    else if (entry.isFile()) bytes += statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  }
  return bytes;
}

function entriesOf(folder: string): readonly Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
}

/** What is in memory of the mappings that are as large as this; 0 when there is none or the process is gone. */
function residentBytes(pid: number, sizeBytes: number): number {
  const file = `/proc/${pid}/smaps`;
  if (!existsSync(file)) return 0;
  const wanted = new RegExp(
    `^Size:\\s+${sizeBytes / 1024} kB\\n(?:.*\\n)*?Rss:\\s+(\\d+) kB$`,
    'gm',
  );
  const found = Array.from(readFileSync(file, 'utf8').matchAll(wanted), ([, kb]) => Number(kb));
  return found.reduce((sum, kb) => sum + kb * 1024, 0);
}

export function takeSample(
  probed: ProbedMemory,
  dataFolder: string,
  startedMs: number,
  ledgerBehindS: number,
): ServerSample {
  const { atMs, pid, wasmMemories, ...memory } = probed;
  const wasm = wasmMemories.reduce((sum, bytes) => sum + bytes, 0);
  const sizes = [...new Set(wasmMemories)];
  const wasmResident = sizes.reduce((sum, bytes) => sum + residentBytes(pid, bytes), 0);
  const log = ['log.sqlite', 'log.sqlite-wal'].map((name) => join(dataFolder, name));
  return {
    ...memory,
    wasm,
    wasmResident,
    rest: memory.rss - memory.heapTotal - (memory.external - wasm) - wasmResident,
    atS: Math.round((atMs - startedMs) / 1000),
    records: recordsOnLog(dataFolder),
    postgresBytes: folderBytes(join(dataFolder, 'pg')),
    logBytes: log.reduce(
      (sum, file) => sum + (statSync(file, { throwIfNoEntry: false })?.size ?? 0),
      0,
    ),
    clickHouseBytes: folderBytes(join(dataFolder, 'chdb')),
    ledgerBehindS,
  };
}
