import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { load } from 'js-yaml';
import { chartFiles } from '../../deploy/chart/chart-files.ts';
import { chartFolder } from './helm.ts';

describe('files of the chart', () => {
  it('are what the services and deploy/chart say', () => {
    for (const { path: file, text } of chartFiles()) {
      const stored = readFileSync(path.join(chartFolder, file), 'utf8');
      assert.equal(stored, text, `${file}: run node deploy/chart/write-chart.ts`);
    }
  }).timeout(600_000);

  it('depend on nothing but values: no lookup, nothing random, nothing generated, no CRD', () => {
    const templates = new URL('../../charts/lethe/templates/', import.meta.url);
    const forbidden =
      /\b(lookup|randAlpha\w*|randNumeric|randAscii|randInt|randBytes|uuidv4|gen[A-Z]\w+|now|date\w*|htpasswd|derivePassword|buildCustomCert|encryptAES|getHostByName|CustomResourceDefinition)\b/;
    for (const file of templateFiles(templates)) {
      const code = (readFileSync(file, 'utf8').match(/\{\{[\s\S]*?\}\}/g) ?? []).filter(
        (each) => !/^\{\{-?\s*\/\*/.test(each),
      );
      for (const each of code) assert.doesNotMatch(each, forbidden, file.pathname);
    }
  });

  it('has one version of chart and application', () => {
    const chart = load(readFileSync(path.join(chartFolder, 'Chart.yaml'), 'utf8')) as {
      readonly version: string;
      readonly appVersion: string;
    };
    const root = JSON.parse(
      readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
    ) as { readonly version: string };
    assert.equal(chart.appVersion, root.version);
    assert.match(chart.version, /^\d+\.\d+\.\d+$/);
  });
});

function templateFiles(folder: URL): readonly URL[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory()
      ? templateFiles(new URL(`${entry.name}/`, folder))
      : [new URL(entry.name, folder)],
  );
}
