import { execFile } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { fileURLToPath } from 'node:url';
import { cachedTool, findTool, installTool, type ToolPlaces } from './prebuilt-tool.ts';

/** Of the collector and its components, as in collector/go.mod. */
export const collectorVersion = '0.155.0';

/** Named after ours: another collector may lack the redaction processor. */
const tool = 'lethe-collector';

/** The binary, or undefined when it is neither among the tools nor in the cache. */
export function findCollector(places: ToolPlaces): string | undefined {
  return findTool(places, tool, collectorVersion);
}

/** Builds it from Go modules into the cache; needs Go 1.25 and its module proxy. */
export async function buildCollector({ cache }: ToolPlaces): Promise<string> {
  mkdirSync(cache, { recursive: true });
  const built = path.join(cache, `${tool}.${process.pid}`);
  const settings = ['CGO_ENABLED=0', 'GOFLAGS=-p=2 -buildvcs=false', 'GOTOOLCHAIN=local'];
  // `env` adds to the environment that is inherited; `nice` leaves the machine usable meanwhile.
  const go = [
    ...settings,
    'nice',
    'go',
    'build',
    '-trimpath',
    '-ldflags',
    '-s -w',
    '-o',
    built,
    '.',
  ];
  const cwd = fileURLToPath(new URL('collector', import.meta.url));
  await promisify(execFile)('env', go, { cwd, maxBuffer: 64 * 1024 * 1024 });
  return installTool(built, cachedTool(cache, tool, collectorVersion));
}
