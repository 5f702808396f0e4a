import { execFileSync, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { cpus, tmpdir, totalmem } from 'node:os';
import path from 'node:path';
import { whyNoDockerDaemon } from '../../deploy/local/docker.ts';
import { whyNoKafka } from '../../deploy/local/kafka.ts';
import { whyNoKubernetesNode, type KubernetesNode } from '../../deploy/local/kubernetes-node.ts';
import { findPostgresBinaries } from '../../deploy/local/postgres.ts';
import type { ToolPlaces } from '../../deploy/local/prebuilt-tool.ts';
import { findVault } from '../../deploy/local/vault-binary.ts';

export function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Ends the process with the code for wrong options and for what is missing. */
export function refuse(why: string): never {
  process.stderr.write(`${why}\n`);
  process.exit(2);
}

/** Vault's binary; refuses with all that is missing. */
export function requireAll(places: ToolPlaces, { docker }: { readonly docker: boolean }): string {
  const vaultBinary = findVault(places);
  const missing = [
    whyNoKubernetesNode(places),
    whyNoKafka(),
    vaultBinary === undefined ? 'no Vault: LETHE_TOOLS or npm run build:vault' : undefined,
    findPostgresBinaries() === undefined ? 'no PostgreSQL' : undefined,
    docker ? whyNoDockerDaemon() : undefined,
  ].filter((why) => why !== undefined);
  if (missing.length > 0 || vaultBinary === undefined) refuse(missing.join('\n'));
  return vaultBinary;
}

/** Of the checkout. */
export function revision(): string {
  return execFileSync('git', ['rev-parse', 'HEAD'], { encoding: 'utf8' }).trim();
}

/** Begins a report with when, what and where; the suite adds to it. */
export function beginReport(file: string | undefined): void {
  if (file === undefined) return;
  const machine = `${cpus().length} × ${cpus()[0]?.model}, ${Math.round(totalmem() / 2 ** 30)} GiB`;
  const when = new Date().toISOString().slice(0, 16);
  writeFileSync(file, `## Run of ${when} UTC at ${revision().slice(0, 12)}\n\n- ${machine}\n`);
}

/** Runs suites in the node's network with what they are given; answers mocha's exit code. */
export async function runSuites(node: KubernetesNode, suites: readonly string[], given: object) {
  const mocha = path.resolve('node_modules/mocha/bin/mocha.js');
  const files = suites.map((suite) => path.join('integration-tests/cluster', suite));
  const command = [process.execPath, mocha, '--reporter', 'spec', ...files];
  const [program, ...args] = node.inside(command);
  const env = { ...process.env, LETHE_CLUSTER: JSON.stringify(given) };
  const child = spawn(program, args, { env, stdio: 'inherit' });
  return await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? 1));
  });
}

export const workPrefix = path.join(tmpdir(), 'lethe-cluster-');
