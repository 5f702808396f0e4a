import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { repository } from '../temporary-tree.ts';
import { type Figure, type Report, type Target, verdictOf } from './figure.ts';
import { measurements } from './measurements.ts';
import { benchPages, renderPage } from './pages.ts';
import { combinePairs, median, quantile, runPairs } from './pairs.ts';
import { renderJson, renderTable, shortNumber } from './render.ts';

const figure: Figure = {
  name: 'seal',
  what: 'seal 1 KiB',
  unit: 'µs CPU',
  measured: 8,
  baselineWhat: 'bare AES-256-GCM',
  baseline: 4,
  ratio: 2,
  ratioQuartiles: [1.9, 2.125],
  pairs: 31,
  target: { sense: 'at most', limit: 10, of: 'measured' },
  notes: ['a word on it'],
};

const report: Report = {
  machine: {
    cpuModel: 'A processor',
    cores: 2,
    memoryGib: 16,
    node: '24.0.0',
    loadBefore: 0.5,
    loadAfter: 0.75,
    systems: { 'Apache Kafka': '4.1.2' },
    startedAt: '2026-01-01T00:00:00.000Z',
  },
  figures: [figure],
  failures: [{ names: ['append'], reason: 'ended with SIGKILL' }],
  tookMs: 12_345,
};

describe('the benchmark', () => {
  describe('pairs', () => {
    it('take medians and quantiles between the values next to them', () => {
      assert.equal(median([3, 1, 2]), 2);
      assert.equal(median([4, 1, 2, 3]), 2.5);
      assert.equal(quantile([10, 20, 30, 40, 50], 0.25), 20);
      assert.equal(quantile([0, 100], 0.99), 99);
      assert.throws(() => median([]), RangeError);
      assert.throws(() => quantile([1], 1.1), RangeError);
    });

    it('law: a quantile lies among the values and never falls as the share rises', () => {
      const values = fc.array(fc.double({ noNaN: true, min: -1e9, max: 1e9 }), { minLength: 1 });
      const share = fc.double({ noNaN: true, min: 0, max: 1 });
      fc.assert(
        fc.property(values, share, share, (all, one, other) => {
          const low = quantile(all, Math.min(one, other));
          const high = quantile(all, Math.max(one, other));
          assert.ok(low <= high && Math.min(...all) <= low && high <= Math.max(...all));
        }),
      );
    });

    it('answer the median of the ratios, which a slow pair does not move', () => {
      const result = combinePairs([
        { measured: 4, baseline: 2 },
        { measured: 600, baseline: 200 },
        { measured: 4, baseline: 4 },
      ]);
      assert.equal(result.ratio, 2);
      assert.equal(result.measured, 4);
      assert.equal(result.baseline, 4);
      assert.deepEqual(result.ratioQuartiles, [1.5, 2.5]);
      assert.equal(result.pairs, 3);
    });

    it('change the side that goes first, and keep what belongs together', async () => {
      const order: string[] = [];
      const side = (name: string) => () => {
        order.push(name);
        return order.length;
      };
      const pairs = await runPairs(3, side('measured'), side('baseline'));
      const [m, b] = ['measured', 'baseline'];
      assert.deepEqual(order, [m, b, b, m, m, b]);
      assert.deepEqual(pairs, [
        { measured: 1, baseline: 2 },
        { measured: 4, baseline: 3 },
        { measured: 5, baseline: 6 },
      ]);
    });

    it('end once their time is over, and with one pair at least', async () => {
      const one = () => 1;
      assert.equal((await runPairs(5, one, one, 0)).length, 1);
      assert.equal((await runPairs(5, one, one, 60_000)).length, 5);
    });
  });

  describe('verdicts', () => {
    const verdict = (target: Target | undefined) => verdictOf({ ...figure, target });

    it('hold up to the limit and fall short beyond it', () => {
      assert.equal(verdict({ sense: 'at most', limit: 8, of: 'measured' }), 'holds');
      assert.equal(verdict({ sense: 'at most', limit: 7.9, of: 'measured' }), 'falls short');
      assert.equal(verdict({ sense: 'at least', limit: 8, of: 'measured' }), 'holds');
      assert.equal(verdict({ sense: 'at least', limit: 8.1, of: 'measured' }), 'falls short');
    });

    it('look at the ratio where the target is one', () => {
      assert.equal(verdict({ sense: 'at most', limit: 2, of: 'ratio' }), 'holds');
      assert.equal(verdict({ sense: 'at most', limit: 1.05, of: 'ratio' }), 'falls short');
      assert.equal(verdict(undefined), 'no target');
    });
  });

  it('writes numbers short', () => {
    const texts = [12_345.6, 999, 1.04567, 0.0123456, Infinity].map(shortNumber);
    assert.deepEqual(texts, ['12,346', '999', '1.05', '0.0123', 'Infinity']);
  });

  it('draws a Markdown table with machine, verdicts, notes and what failed', () => {
    const lines = renderTable(report).split('\n');
    assert.match(lines[0] ?? '', /A processor, 2 cores, 16 GiB, Node 24.0.0/);
    assert.match(lines[0] ?? '', /load 0\.50 before and 0\.75 after.*Apache Kafka 4\.1\.2/);
    const rows = lines.filter((line) => line.startsWith('|'));
    assert.equal(rows.length, 3);
    assert.equal(new Set(rows.map((row) => row.length)).size, 1, 'columns line up');
    const cells = (rows[2] ?? '').split('|').map((cell) => cell.trim());
    assert.deepEqual(cells.slice(1, -1), [
      'seal',
      'seal 1 KiB',
      '≤ 10 µs CPU',
      '8 µs CPU',
      '4 µs CPU: bare AES-256-GCM',
      '2 (1.9–2.13, 31)',
      'holds',
    ]);
    assert.ok(lines.includes('- seal: a word on it'));
    assert.ok(lines.includes('- append: NOT MEASURED: ended with SIGKILL'));
  });

  it('says so when the limit of a ratio lies between the quartiles', () => {
    const bound = (limit: number) => {
      const target: Target = { sense: 'at most', limit, of: 'ratio' };
      return renderTable({ ...report, figures: [{ ...figure, target }] });
    };
    assert.match(bound(2.1), /- seal: the limit lies between the quartiles/);
    assert.doesNotMatch(bound(1.8), /between the quartiles/);
    assert.doesNotMatch(bound(2.2), /between the quartiles/);
  });

  it('writes JSON that says the same', () => {
    const parsed: unknown = JSON.parse(renderJson(report));
    assert.deepEqual(parsed, { ...report, figures: [{ ...figure, verdict: 'holds' }] });
  });

  describe('pages', () => {
    it('say what the kept runs say; `npm run bench -- --write` rewrites them', () => {
      for (const { file, parts } of benchPages) {
        const text = readFileSync(join(repository, file), 'utf8');
        assert.equal(text, renderPage(text, parts), file);
      }
    });

    it('are rewritten between their marks alone, and not without them', () => {
      const part = { part: () => 'new\n' };
      const page = 'a <!-- bench:part -->\nold\n<!-- /bench:part --> z';
      assert.equal(renderPage(page, part), 'a <!-- bench:part -->\nnew\n<!-- /bench:part --> z');
      assert.throws(() => renderPage('a page', part), RangeError);
    });
  });

  it('has one measurement for each name', () => {
    const names = measurements.flatMap(({ figures }) => figures);
    assert.equal(new Set(names).size, names.length);
  });
});
