import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { kubernetesClients } from '../../deploy/local/helm.ts';
import { toolPlaces } from '../../deploy/local/prebuilt-tool.ts';
import { type KubeObject, parseObjects } from './kube-objects.ts';

/** Values as Helm takes them. */
export type Values = Readonly<Record<string, unknown>>;

export const chartFolder = fileURLToPath(new URL('../../charts/lethe', import.meta.url));
export const releaseName = 'lethe';
export const namespace = 'support';

/** What became of one set of values. */
export interface Rendered {
  readonly text: string;
  objects(): readonly KubeObject[];
}

/** What Helm says when it refuses; `said` is all of it. */
export class HelmRefusal extends Error {
  readonly said: string;

  constructor(said: string) {
    super(said);
    this.said = said;
  }
}

/** The binary; fetched once, see deploy/local/helm.ts. */
function helmBinary(): string {
  return kubernetesClients(toolPlaces(process.env)).helm;
}

/** Renders the chart by a Helm process of its own. Throws HelmRefusal. */
export async function render(values: Values, chart: string = chartFolder): Promise<Rendered> {
  return await inFolder(async (folder) => {
    const file = path.join(folder, 'values.json');
    writeFileSync(file, JSON.stringify(values));
    return renderedOf(await runHelm(['template', releaseName, chart, ...common, '--values', file]));
  });
}

/**
 * Renders many sets of values by one process: a chart that depends on this one as often as there are sets, each time
 * under another name. Throws HelmRefusal when any is refused; it says of each by its name `set<n>`.
 */
export async function renderMany(sets: readonly Values[]): Promise<readonly Rendered[]> {
  return await inFolder(async (folder) => {
    const names = sets.map((_, index) => `set${index}`);
    mkdirSync(path.join(folder, 'charts'));
    cpSync(chartFolder, path.join(folder, 'charts', 'lethe'), { recursive: true });
    const dependencies = names.map((alias) => ({ name: 'lethe', version: '*', alias }));
    const many = { apiVersion: 'v2', name: 'many', version: '0.0.1', dependencies };
    writeFileSync(path.join(folder, 'Chart.yaml'), JSON.stringify(many));
    const values = Object.fromEntries(sets.map((set, index) => [`set${index}`, set]));
    const file = path.join(folder, 'given.json');
    writeFileSync(file, JSON.stringify(values));
    const text = await runHelm(['template', releaseName, folder, ...common, '--values', file]);
    return splitByName(text, names);
  });
}

const common = ['--namespace', namespace];

function splitByName(text: string, names: readonly string[]): readonly Rendered[] {
  const parts = new Map(names.map((name) => [name, [] as string[]]));
  for (const part of text.split(/^---$/m)) {
    const name = /^# Source: many\/charts\/([^/]+)\//m.exec(part)?.[1];
    if (name !== undefined) parts.get(name)?.push(part);
  }
  return names.map((name) => renderedOf(parts.get(name)?.join('---') ?? ''));
}

function renderedOf(text: string): Rendered {
  let parsed: readonly KubeObject[] | undefined;
  return { text, objects: () => (parsed ??= parseObjects(text)) };
}

async function inFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(path.join(tmpdir(), 'lethe-chart-'));
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Answers what Helm writes; throws HelmRefusal with what it says instead. */
export async function runHelm(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  return await new Promise((resolve, reject) => {
    const options = { maxBuffer: 256 * 1024 * 1024, env: { ...process.env, ...env } };
    execFile(helmBinary(), args, options, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new HelmRefusal(`${stderr}\n${error.killed === true ? 'killed' : ''}`));
    });
  });
}
