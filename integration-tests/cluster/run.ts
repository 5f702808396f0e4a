/**
 * `npm run test:cluster`: builds the images, starts a Kubernetes with a real node, loads them and runs the suite in its
 * network. `--help` says what it needs.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { buildImages, prepareBuild } from '../../deploy/images/build-images.ts';
import { dockerCommand } from '../../deploy/images/docker-command.ts';
import { imageWishes } from '../../deploy/images/image-names.ts';
import { findCollector } from '../../deploy/local/collector-binary.ts';
import { startLocalDocker } from '../../deploy/local/docker.ts';
import { startKubernetesNode } from '../../deploy/local/kubernetes-node.ts';
import { toolPlaces } from '../../deploy/local/prebuilt-tool.ts';
import type { ClusterGiven } from './given.ts';
import { beginReport, refuse, requireAll, runSuites, say, workPrefix } from './run-parts.ts';

const help = `The six images as real pods on a real Kubernetes node, with Kafka, PostgreSQL, the ClickHouse engine over HTTP
and Vault beside it, all over TLS; helm install, helm test, a tour, a rolling restart, the trace of an event.

  LETHE_TOOLS=FOLDER npm run test:cluster -- [--images FOLDER] [--report FILE]

  --images FOLDER   NAME.tar of each image, as npm run images -- --out FOLDER leaves them; else they are built
  --report FILE     what the run says is written there, in Markdown

LETHE_TOOLS names a folder with kube-local, kube-node, coredns, pause and vault, each as it is or as .xz. Needs root on
Debian, openssl, Java, Maven, PostgreSQL, docker.io unless --images is given, and for the trace a collector (npm run
build:collector). 10 to 50 minutes on two cores.

Exit codes: 0 passed, 1 failed, 2 wrong options or something is missing.
`;

function readOptions() {
  try {
    return parseArgs({
      options: {
        images: { type: 'string' },
        report: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    return refuse(`${error instanceof Error ? error.message : String(error)}\n\n${help}`);
  }
}

const tag = 'cluster';

/** Saves every image in a folder; answers their references by name. */
async function buildAll(folder: string, npmCache: string): Promise<void> {
  const local = await startLocalDocker();
  try {
    const docker = dockerCommand(local.host);
    const npm = realpathSync(
      process.env['npm_execpath'] ??
        execFileSync('sh', ['-c', 'command -v npm'], { encoding: 'utf8' }).trim(),
    );
    const base = 'stand-in' as const;
    const wish = { images: imageWishes, prefix: 'lethe', tag, base, npm, npmCache, say };
    const context = await prepareBuild(docker, wish);
    const built = await buildImages(docker, wish, context).finally(context.remove);
    for (const { name, reference, bytes } of built) {
      say(`${reference}: ${(bytes / 1e6).toFixed(0)} MB`);
      await docker('save', '-o', path.join(folder, `${name}.tar`), reference);
    }
  } finally {
    await local.stop();
  }
}

/** The name that `docker save` wrote beside the layers. */
function referenceIn(tar: string): string {
  const manifest = execFileSync('tar', ['-xOf', tar, 'manifest.json'], { encoding: 'utf8' });
  const [first] = JSON.parse(manifest) as readonly { readonly RepoTags: readonly string[] }[];
  const reference = first?.RepoTags[0];
  if (reference === undefined) throw new Error(`${tar} has no name`);
  return reference;
}

const options = readOptions();
if (options.help) {
  say(help.trimEnd());
  process.exit(0);
}
const places = toolPlaces(process.env);
const vaultBinary = requireAll(places, { docker: options.images === undefined });
const work = mkdtempSync(workPrefix);
const imageFolder = options.images ?? work;
beginReport(options.report);
try {
  if (options.images === undefined) await buildAll(work, path.join(places.cache, 'npm-images'));
  say('starting Kubernetes with one real node …');
  const node = await startKubernetesNode(places);
  try {
    const digests: Record<string, string> = {};
    for (const { name } of imageWishes) {
      const tar = path.join(imageFolder, `${name}.tar`);
      digests[name] = await node.importImage(tar, referenceIn(tar));
      say(`loaded ${name} ${digests[name]}`);
    }
    const { kubeconfig, helm, kubectl, address } = node;
    const reportFile = options.report === undefined ? {} : { reportFile: options.report };
    const collectorBinary = findCollector(places);
    const given: ClusterGiven = {
      kubeconfig,
      helm,
      kubectl,
      address,
      vaultBinary,
      digests,
      ...reportFile,
      ...(collectorBinary === undefined ? {} : { collectorBinary }),
    };
    process.exitCode = await runSuites(node, ['cluster.suite.ts', 'trace.suite.ts'], given);
  } finally {
    await node.stop();
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}
