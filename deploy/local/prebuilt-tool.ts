import { execFileSync } from 'node:child_process';
import { chmodSync, closeSync, existsSync, mkdirSync, openSync, renameSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';

/** Where programs are looked for that are not part of the project. */
export interface ToolPlaces {
  /** A folder with prebuilt tools, each as it is or packed by xz. */
  readonly tools: string | undefined;
  /** Takes what is unpacked, fetched and built, for the next time. */
  readonly cache: string;
}

/** The tools' folder is LETHE_TOOLS; what is built or unpacked stays in the cache of the user. */
export function toolPlaces(env: Readonly<Record<string, string | undefined>>): ToolPlaces {
  const cacheRoot = env['XDG_CACHE_HOME'] ?? path.join(homedir(), '.cache');
  return { tools: env['LETHE_TOOLS'], cache: path.join(cacheRoot, 'lethe') };
}

/** A program among the tools, or in the cache under its name and version; undefined when it is in neither. */
export function findTool(
  { tools, cache }: ToolPlaces,
  name: string,
  version: string,
): string | undefined {
  const given = tools === undefined ? undefined : path.join(tools, name);
  if (given !== undefined && existsSync(given)) return given;
  const cached = cachedTool(cache, name, version);
  if (existsSync(cached)) return cached;
  if (given === undefined || !existsSync(`${given}.xz`)) return undefined;
  mkdirSync(cache, { recursive: true });
  const unpacked = `${cached}.${process.pid}`;
  const file = openSync(unpacked, 'w');
  execFileSync('xz', ['-dc', `${given}.xz`], { stdio: ['ignore', file, 'pipe'] });
  closeSync(file);
  return installTool(unpacked, cached);
}

/** Where the cache has a program. */
export function cachedTool(cache: string, name: string, version: string): string {
  return path.join(cache, `${name}-${version}`);
}

/** Whole or not there, also when two processes do it at once. */
export function installTool(from: string, to: string): string {
  chmodSync(from, 0o755);
  renameSync(from, to);
  return to;
}
