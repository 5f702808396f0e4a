import { execFile } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { fileURLToPath } from 'node:url';
import { cachedTool, findTool, installTool, type ToolPlaces } from './prebuilt-tool.ts';

/** As in kubernetes/go.mod. */
const kubernetesVersion = '1.34.4';
const kwokVersion = '0.8.0';

/** A control plane as programs. */
export interface KubernetesBinaries {
  /** etcd, API server, controller manager and scheduler in one; its first argument says which. */
  readonly controlPlane: string;
  /** Plays nodes and their pods. */
  readonly kwok: string;
}

/** Undefined when they are neither among the tools nor in the cache. */
export function findKubernetes(places: ToolPlaces): KubernetesBinaries | undefined {
  const controlPlane = findTool(places, 'kube-local', kubernetesVersion);
  const kwok = findTool(places, 'kwok', kwokVersion);
  return controlPlane === undefined || kwok === undefined ? undefined : { controlPlane, kwok };
}

/** Builds both from Go modules into the cache; needs Go 1.26 and its module proxy. Minutes: see docs/operators/kubernetes.md. */
export async function buildKubernetes({ cache }: ToolPlaces): Promise<void> {
  mkdirSync(cache, { recursive: true });
  const run = async (cwd: string, ...args: string[]) =>
    await promisify(execFile)(
      'env',
      ['CGO_ENABLED=0', 'GOFLAGS=-p=2 -buildvcs=false', 'GOTOOLCHAIN=local', 'nice', 'go', ...args],
      { cwd, maxBuffer: 64 * 1024 * 1024 },
    );
  const source = fileURLToPath(new URL('kubernetes', import.meta.url));
  const kubeLocal = path.join(cache, `kube-local.${process.pid}`);
  const flags = ['-trimpath', '-ldflags', linkerFlags()];
  await run(source, 'build', ...flags, '-o', kubeLocal, './cmd/kube-local');
  installTool(kubeLocal, cachedTool(cache, 'kube-local', kubernetesVersion));
  const folder = path.join(cache, `kwok.${process.pid}`);
  mkdirSync(folder, { recursive: true });
  const module = `sigs.k8s.io/kwok/cmd/kwok@v${kwokVersion}`;
  await promisify(execFile)(
    'env',
    [
      `GOBIN=${folder}`,
      'CGO_ENABLED=0',
      'GOFLAGS=-p=2',
      'nice',
      'go',
      'install',
      '-trimpath',
      '-ldflags',
      '-s -w',
      module,
    ],
    { cwd: folder, maxBuffer: 64 * 1024 * 1024 },
  );
  installTool(path.join(folder, 'kwok'), cachedTool(cache, 'kwok', kwokVersion));
}

/** Clients ask the server for its version, and refuse one that is not told. */
function linkerFlags(): string {
  const minor = kubernetesVersion.split('.')[1] ?? '';
  const told = ['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version'].map(
    (package_) =>
      `-X ${package_}.gitVersion=v${kubernetesVersion} -X ${package_}.gitMajor=1 -X ${package_}.gitMinor=${minor} -X ${package_}.gitTreeState=clean`,
  );
  return ['-s -w', ...told].join(' ');
}
