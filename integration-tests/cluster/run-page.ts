/**
 * `npm run test:page`: starts a Kubernetes with a real node and a registry, and runs the commands of
 * docs/operators/kubernetes.md in a fresh clone. `--help` says what it needs.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { startLocalDocker } from '../../deploy/local/docker.ts';
import { startKubernetesNode } from '../../deploy/local/kubernetes-node.ts';
import { toolPlaces } from '../../deploy/local/prebuilt-tool.ts';
import { repository } from '../temporary-tree.ts';
import type { PageGiven } from './given.ts';
import { unpackRegistry } from './registry.ts';
import { beginReport, refuse, requireAll, runSuites, say, workPrefix } from './run-parts.ts';

const help = `The commands by which docs/operators/kubernetes.md leads from four endpoints to a running release, one after
another as they stand there, in a fresh clone: images are built and pushed to a registry, a real Kubernetes node pulls
them, helm install, helm test. Filled in are the registry's name and, in the fourth, what is one's own; --stand-in is
added to the second.

  LETHE_TOOLS=FOLDER npm run test:page -- [--report FILE]

  --report FILE     the commands and what they said are written there, in Markdown

LETHE_TOOLS names a folder with kube-local, kube-node, coredns, pause and vault, each as it is or as .xz. Needs root on
Debian, its packages (docker-registry is unpacked from there), openssl, curl, Java, Maven, PostgreSQL and docker.io. 5 to
30 minutes on two cores.

Exit codes: 0 passed, 1 failed, 2 wrong options or something is missing.
`;

function readOptions() {
  try {
    const report = { type: 'string' } as const;
    const wantsHelp = { type: 'boolean', default: false } as const;
    return parseArgs({ options: { report, help: wantsHelp } }).values;
  } catch (error) {
    return refuse(`${error instanceof Error ? error.message : String(error)}\n\n${help}`);
  }
}

/** That of the person who runs this, without what npm adds to it for this script. */
function personEnv(added: Readonly<Record<string, string>>, bin: string): Record<string, string> {
  const own = Object.entries(process.env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && !/^npm_/i.test(entry[0]),
  );
  const folders = (process.env['PATH'] ?? '').split(path.delimiter);
  const found = folders.filter((each) => !/node_modules|node-gyp-bin/.test(each));
  return { ...Object.fromEntries(own), ...added, PATH: [bin, ...found].join(path.delimiter) };
}

const options = readOptions();
if (options.help) {
  say(help.trimEnd());
  process.exit(0);
}
const places = toolPlaces(process.env);
const vaultBinary = requireAll(places, { docker: true });
beginReport(options.report);
const work = mkdtempSync(workPrefix);
const ends: (() => Promise<void> | void)[] = [() => rmSync(work, { recursive: true, force: true })];
try {
  const checkout = path.join(work, 'lethe');
  execFileSync('git', ['clone', '--quiet', repository, checkout]);
  const registry = await unpackRegistry(path.join(work, 'registry'));
  ends.push(async () => await registry.stop());
  const docker = await startLocalDocker();
  ends.push(docker.stop);
  await registry.serve(docker.inside);
  say('starting Kubernetes with one real node …');
  const node = await startKubernetesNode(places);
  ends.push(async () => await node.stop());
  await registry.serve(node.inside);
  const bin = path.join(work, 'bin');
  mkdirSync(bin);
  symlinkSync(node.helm, path.join(bin, 'helm'));
  symlinkSync(node.kubectl, path.join(bin, 'kubectl'));
  const { address, kubeconfig } = node;
  const given: PageGiven = {
    address,
    vaultBinary,
    checkout,
    env: personEnv({ KUBECONFIG: kubeconfig, DOCKER_HOST: docker.host }, bin),
    outsidePid: process.pid,
    ...(options.report === undefined ? {} : { reportFile: options.report }),
  };
  process.exitCode = await runSuites(node, ['page.suite.ts'], given);
} finally {
  // One that fails leaves none of the others undone.
  for (const end of ends.toReversed()) {
    try {
      await end();
    } catch (error) {
      process.stderr.write(`not all was removed: ${String(error)}\n`);
      process.exitCode = 1;
    }
  }
}
