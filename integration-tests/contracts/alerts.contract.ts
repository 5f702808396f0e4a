import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { alertCases } from '../telemetry/alert-cases.ts';
import { ruleTests } from '../telemetry/rule-tests.ts';

const rules = fileURLToPath(new URL('../../charts/lethe/files/alerts.yaml', import.meta.url));

describe('alerts, by promtool', function () {
  this.timeout(60_000);
  let folder: string;
  before(function () {
    const { stdout, status } = spawnSync('promtool', ['--version'], { encoding: 'utf8' });
    if (status !== 0) {
      if (process.env['CI'] === 'true') throw new Error('promtool is missing: install prometheus');
      process.stdout.write('!!! SKIPPED, NOT CHECKED: no promtool, so no alert was tried\n');
      this.skip();
    }
    process.stdout.write(`${stdout.split('\n')[0]}\n`);
    folder = mkdtempSync(join(tmpdir(), 'lethe-alerts-'));
  });
  after(() => {
    if (folder !== undefined) rmSync(folder, { recursive: true });
  });

  it('are rules that Prometheus takes', () => {
    execFileSync('promtool', ['check', 'rules', rules], { stdio: 'pipe' });
  });

  for (const each of alertCases) {
    it(`${each.alert} fires, says what is so, and does not for what looks alike`, () => {
      const file = join(folder, `${each.alert}.yaml`);
      writeFileSync(file, ruleTests(rules, [each]));
      const { stdout, stderr, status } = spawnSync('promtool', ['test', 'rules', file], {
        encoding: 'utf8',
      });
      if (status !== 0) throw new Error(`promtool says:\n${stdout}${stderr}`);
    });
  }

  it('would be found missing: without the rule, its case fails', () => {
    const [first] = alertCases;
    if (first === undefined) throw new Error('there are cases');
    const empty = join(folder, 'no-rules.yaml');
    writeFileSync(empty, 'groups: []\n');
    const file = join(folder, 'without.yaml');
    writeFileSync(file, ruleTests(empty, [first]));
    const { status } = spawnSync('promtool', ['test', 'rules', file]);
    if (status === 0) throw new Error('a case passes without its rule');
  });
});
