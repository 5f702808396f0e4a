import { execFile } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { kubernetesClients } from './helm.ts';
import { findTool, type ToolPlaces } from './prebuilt-tool.ts';

const run = promisify(execFile);
const script = fileURLToPath(new URL('./kubernetes-node.sh', import.meta.url));
/** Built from Kubernetes' Go modules, which takes half an hour: they are given, or nothing is started. */
const programs = ['kube-local', 'kube-node', 'coredns', 'pause'] as const;
const version = '1.34.4';
const outputBytesMax = 64 * 1024 * 1024;

/** A Kubernetes with one real node, in a network namespace of its own (kubernetes-node.sh). */
export interface KubernetesNode {
  readonly folder: string;
  readonly kubeconfig: string;
  /** Of the node, as pods and as the namespace itself reach it. */
  readonly address: string;
  readonly helm: string;
  readonly kubectl: string;
  /** The command that runs `command` in the node's network. */
  readonly inside: (command: readonly string[]) => [string, ...string[]];
  /** Loads what `docker save` wrote, under its name and by digest; answers the digest of its manifest. */
  importImage(tar: string, reference: string): Promise<string>;
  stop(): Promise<void>;
}

/** Why none can be started here; undefined when one can. */
export function whyNoKubernetesNode(places: ToolPlaces): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'only root on Linux can';
  if (!existsSync('/usr/bin/apt-get')) return "containerd is unpacked from Debian's packages";
  const missing = programs.filter((name) => findTool(places, name, version) === undefined);
  if (missing.length === 0) return undefined;
  return `LETHE_TOOLS has no ${missing.join(', ')}`;
}

/** A minute on two busy cores. Stops what it started when it throws. */
export async function startKubernetesNode(places: ToolPlaces): Promise<KubernetesNode> {
  const folder = mkdtempSync(path.join(tmpdir(), 'lethe-node-'));
  const namespace = path.basename(folder);
  const call = async (...args: readonly string[]): Promise<string> => {
    const { stdout } = await run(script, args, { maxBuffer: outputBytesMax });
    return stdout.trim();
  };
  const stop = async (): Promise<void> => {
    await call('stop', folder, namespace);
    removeFolder(folder);
  };
  const { helm, kubectl } = kubernetesClients(places);
  const bin = path.join(folder, 'bin');
  mkdirSync(bin);
  for (const name of programs) {
    const found = findTool(places, name, version);
    if (found === undefined) throw new Error(`no ${name}`);
    copyFileSync(found, path.join(bin, name));
  }
  copyFileSync(kubectl, path.join(bin, 'kubectl'));
  try {
    const said = await call('start', folder, namespace);
    const kubeconfig = said.split('\n').at(-1) ?? '';
    return {
      folder,
      kubeconfig,
      address: '10.99.0.1',
      helm,
      kubectl,
      inside: (command) => ['nsenter', `--net=/run/netns/${namespace}`, '--', ...command],
      importImage: async (tar, reference) => await importImage(call, folder, tar, reference),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function importImage(
  call: (...args: readonly string[]) => Promise<string>,
  folder: string,
  tar: string,
  reference: string,
): Promise<string> {
  await call('import', folder, tar);
  // The name as a container runtime completes it.
  const name = `docker.io/${reference}`;
  const listed = await call('ctr', folder, 'images', 'ls', `name==${name}`);
  const digest = /sha256:[0-9a-f]{64}/.exec(listed)?.[0];
  if (digest === undefined) throw new Error(`${reference} is not among the node's images`);
  // By this one a pod that is pinned by digest finds it.
  const pinned = `${name.slice(0, name.lastIndexOf(':'))}@${digest}`;
  await call('ctr', folder, 'images', 'tag', '--force', name, pinned);
  return digest;
}

/** What a pod left mounted stays, and is said: nothing of somebody else's is unmounted here. */
function removeFolder(folder: string): void {
  for (const name of readdirSync(folder)) {
    rmSync(path.join(folder, name), { recursive: true, force: true });
  }
  rmSync(folder, { recursive: true, force: true });
}
