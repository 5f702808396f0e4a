import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { requiredValues } from './example-values.ts';
import { chartFolder, render, type Values } from './helm.ts';
import type { KubeObject } from './kube-objects.ts';
import { olderChart } from './older-chart.ts';
import { variants } from './variants.ts';

const olderDigest = '65c3ee37d5dee420c6af8cc9fd893afbb5b1d01dc823e3049d396d3e91ff99c8';

/** What Kubernetes refuses to change, by kind. */
const immutable: Readonly<Record<string, readonly (readonly string[])[]>> = {
  Deployment: [['spec', 'selector']],
  Job: [
    ['spec', 'selector'],
    ['spec', 'template'],
    ['spec', 'completionMode'],
  ],
  Service: [
    ['spec', 'clusterIP'],
    ['spec', 'type'],
  ],
  ConfigMap: [['immutable']],
};

/** Values that the older chart takes too. */
const kept: Readonly<Record<string, Values>> = {
  'the required values': requiredValues,
  'plain jobs': variants['plain jobs'] ?? {},
  'an ingress': variants['an ingress'] ?? {},
  'scaling by cpu': variants['scaling by cpu'] ?? {},
  'another name': variants['another name'] ?? {},
  'AWS KMS by access key': variants['AWS KMS by access key'] ?? {},
};

describe('an upgrade from the older chart', () => {
  it('begins at a chart that nobody has touched', () => {
    assert.equal(digestOf(olderChart), olderDigest);
  });

  for (const [name, values] of Object.entries(kept)) {
    it(`touches no immutable field, nor takes a service away, with ${name}`, async () => {
      const [older, newer] = await Promise.all([
        render(values, olderChart),
        render(values, chartFolder),
      ]);
      assert.deepEqual(broken(older.objects(), newer.objects()), []);
    }).timeout(120_000);
  }

  for (const name of ['the required values', 'plain jobs']) {
    it(`makes no pod anew where only the chart's version is another, with ${name}`, async () => {
      const values = kept[name] ?? {};
      const [now, next] = await Promise.all([
        render(values, chartFolder),
        inNextVersion(async (chart) => await render(values, chart)),
      ]);
      assert.notEqual(now.text, next.text);
      assert.deepEqual(templatesOf(next.objects()), templatesOf(now.objects()));
    }).timeout(60_000);
  }

  // docs/operators/upgrades.md: so the way back is an upgrade too, whose hooks refuse before a pod is replaced.
  it('migrates as hooks before it, of which a rollback runs none', async () => {
    const hooks = (await render(requiredValues, chartFolder))
      .objects()
      .filter(({ kind, metadata }) => kind === 'Job' && metadata.annotations !== undefined);
    assert.equal(hooks.length, 7);
    for (const { metadata } of hooks) {
      assert.equal(metadata.annotations?.['helm.sh/hook'], 'pre-install,pre-upgrade');
    }
  }).timeout(60_000);

  it('would be found to touch one', async () => {
    const older = (await render(requiredValues, olderChart)).objects();
    const renamed = older.map((each) =>
      each.kind === 'Deployment'
        ? { ...each, spec: { ...each.spec, selector: { matchLabels: { a: 'b' } } } }
        : each,
    );
    assert.equal(broken(older, renamed).length, 6);
    assert.equal(
      broken(
        older,
        older.filter(({ kind }) => kind !== 'Service'),
      ).length,
      6,
    );
  }).timeout(60_000);
});

/** Objects whose going would interrupt: callers know them by name. */
const lasting = new Set([
  'Deployment',
  'Service',
  'ServiceAccount',
  'Ingress',
  'PodDisruptionBudget',
]);

function broken(older: readonly KubeObject[], newer: readonly KubeObject[]): readonly string[] {
  const byName = new Map(newer.map((each) => [nameOf(each), each]));
  return older.flatMap((each) => {
    const successor = byName.get(nameOf(each));
    if (successor === undefined) return lasting.has(each.kind) ? [`${nameOf(each)} is gone`] : [];
    // A hook is deleted before it is made again.
    if (each.metadata.annotations?.['helm.sh/hook'] !== undefined) return [];
    return (immutable[each.kind] ?? [])
      .filter(
        (field) =>
          JSON.stringify(fieldOf(each, field)) !== JSON.stringify(fieldOf(successor, field)),
      )
      .map((field) => `${nameOf(each)}: ${field.join('.')}`);
  });
}

/** A copy of the chart that only calls itself another version, of another application. */
async function inNextVersion<T>(work: (chart: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(path.join(tmpdir(), 'lethe-next-chart-'));
  try {
    cpSync(chartFolder, folder, { recursive: true });
    const file = path.join(folder, 'Chart.yaml');
    const said = readFileSync(file, 'utf8');
    writeFileSync(file, said.replaceAll(/^(version|appVersion): .*$/gm, '$1: 99.0.0'));
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What pods are made of, by what makes them. */
function templatesOf(objects: readonly KubeObject[]): Readonly<Record<string, string>> {
  const made = objects.filter((each) => each.spec?.['template'] !== undefined);
  return Object.fromEntries(
    made.map((each) => [nameOf(each), JSON.stringify(each.spec?.['template'])]),
  );
}

function nameOf({ kind, metadata }: KubeObject): string {
  return `${kind} ${metadata.name}`;
}

function fieldOf(object: KubeObject, field: readonly string[]): unknown {
  return field.reduce<unknown>(
    (tree, name) => (tree as Readonly<Record<string, unknown>> | undefined)?.[name],
    object,
  );
}

function digestOf(folder: string): string {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)))
    .toSorted();
  const hash = createHash('sha256');
  for (const file of files) hash.update(`${file}\n`).update(readFileSync(path.join(folder, file)));
  return hash.digest('hex');
}
