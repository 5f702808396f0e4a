import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { requiredValues, withValues } from './example-values.ts';
import {
  chartFolder,
  HelmRefusal,
  render,
  type Rendered,
  renderMany,
  type Values,
} from './helm.ts';
import { type Mistake, mistakesOf } from './mistakes.ts';
import { renderRules } from './render-rules.ts';
import { type Schema, validValues } from './values-arbitrary.ts';

const schema = JSON.parse(
  readFileSync(path.join(chartFolder, 'values.schema.json'), 'utf8'),
) as Schema;

const setCount = 1_000;
const mistakeCountLeast = 500;
const batchSize = 100;
/** Of the random sets, as reading a rendered chart takes as long as rendering it. */
const readEvery = 10;

describe('schema of the values', () => {
  it(`takes ${setCount} random sets of valid values, and all of them render`, async () => {
    const seed = 20_261_122;
    const sets = fc.sample(validValues(schema), { numRuns: setCount, seed });
    let read = 0;
    const renderBatch = async ([first, batch]: Batch<Values>) => {
      const rendered = await renderMany(batch);
      assert.equal(rendered.length, batch.length);
      rendered.forEach((each, index) => {
        assert.match(each.text, /^kind: Deployment$/m, `seed ${seed}, set ${first + index}`);
        if ((first + index) % readEvery !== 0) return;
        assertStillHolds(each, batch[index] ?? {}, `seed ${seed}, set ${first + index}`);
        read += 1;
      });
    };
    await eachOfTwo(batchesOf(sets), renderBatch);
    console.log(`    ${sets.length} sets rendered, ${read} of them read; seed ${seed}`);
  }).timeout(900_000);

  it(`refuses each of ${mistakeCountLeast} and more mistyped keys and wrong values`, async () => {
    const mistakes = mistakesOf(schema);
    assert.ok(mistakes.length >= mistakeCountLeast, `${mistakes.length} mistakes`);
    await eachOfTwo(batchesOf(mistakes, 100), async ([, batch]) => await assertAllRefused(batch));
    const mistyped = mistakes.filter(({ what }) => what === 'mistyped').length;
    console.log(`    ${mistyped} mistyped keys, ${mistakes.length - mistyped} wrong values`);
  }).timeout(600_000);

  it('names the key that it refuses', async () => {
    await assert.rejects(
      render(withValues({ kafka: { broker: ['kafka:9093'] } })),
      (error) => error instanceof HelmRefusal && /kafka[\s\S]*broker/.test(error.said),
    );
  }).timeout(30_000);

  it('refuses a label that the chart sets itself: it would stand twice', async () => {
    for (const name of ['app.kubernetes.io/component', 'helm.sh/chart']) {
      const mine = { [name]: 'mine' };
      for (const values of [
        { pods: { labels: mine } },
        { monitoring: { prometheusRule: { enabled: true, labels: mine } } },
      ]) {
        await assert.rejects(
          render(withValues(values)),
          (error) => error instanceof HelmRefusal && error.said.includes(name),
        );
      }
    }
  }).timeout(60_000);

  it('takes what a chart that depends on this one passes on', async () => {
    await render(withValues({ global: { anything: { at: ['all'] } }, enabled: false }));
  }).timeout(30_000);

  it('describes every value', () => {
    for (const [at, description] of descriptionsOf(schema, [])) {
      assert.ok((description ?? '').length > 4, at.join('.'));
    }
  });
});

type Batch<T> = readonly [first: number, all: readonly T[]];

function batchesOf<T>(all: readonly T[], size = batchSize): readonly Batch<T>[] {
  const count = Math.ceil(all.length / size);
  return Array.from({ length: count }, (_, n) => [n * size, all.slice(n * size, (n + 1) * size)]);
}

/** Two Helm processes at a time. */
async function eachOfTwo<T>(all: readonly T[], work: (each: T) => Promise<void>): Promise<void> {
  const left = all.values();
  const worker = async () => {
    for (const each of left) await work(each);
  };
  await Promise.all([worker(), worker()]);
}

/** What holds for every way to use the chart, but for names that were given. */
function assertStillHolds(rendered: Rendered, values: Values, where: string): void {
  const objects = rendered.objects();
  for (const [rule, hold] of Object.entries(renderRules)) {
    try {
      hold(objects, values);
    } catch (cause) {
      throw new Error(`${where}: ${rule}: ${JSON.stringify(values)}`, { cause });
    }
  }
}

/** Helm says of each chart that another depends on what is wrong with its values, each under its name. */
async function assertAllRefused(mistakes: readonly Mistake[]): Promise<void> {
  const sets = mistakes.map(({ values }) => withValues(requiredValues, values));
  let said = '';
  try {
    await renderMany(sets);
  } catch (error) {
    if (!(error instanceof HelmRefusal)) throw error;
    ({ said } = error);
  }
  const refused = new Set(Array.from(said.matchAll(/^set(\d+):$/gm), ([, index]) => Number(index)));
  const taken = mistakes.filter((_, index) => !refused.has(index));
  assert.deepEqual(
    taken.map(({ what, path: at, values }) => `${what} ${at.join('.')}: ${JSON.stringify(values)}`),
    [],
  );
}

function* descriptionsOf(
  { properties }: Schema & { readonly description?: string },
  at: readonly string[],
): Generator<readonly [readonly string[], string | undefined]> {
  for (const [name, member] of Object.entries(properties ?? {})) {
    if (at.at(-1) === 'settings') continue;
    yield [[...at, name], (member as { readonly description?: string }).description];
    yield* descriptionsOf(member, [...at, name]);
  }
}
