import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { serviceNames } from '@lethe/proto/access.ts';
import { type Topic, topics } from '@lethe/proto/topics.ts';
import { withValues } from '../chart/example-values.ts';
import { render } from '../chart/helm.ts';
import { containersOf, ofKind, podsOf } from '../chart/kube-objects.ts';
import { repository } from '../temporary-tree.ts';

const read = (file: string): string => readFileSync(join(repository, file), 'utf8');
const pages = ['README.md', ...globSync('docs/**/*.md', { cwd: repository })];

/** As the forge makes it of a heading. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .trim()
    .replaceAll(' ', '-');
}

function anchorsIn(text: string): ReadonlySet<string> {
  const prose = text.replaceAll(/^```.*?^```/gms, '');
  return new Set(
    Array.from(prose.matchAll(/^#+ (.+)$/gm), ([, heading = '']) => anchorOf(heading)),
  );
}

/** Links of a page to files of the repository that lead nowhere. */
function brokenLinks(page: string): readonly string[] {
  const prose = read(page).replaceAll(/^```.*?^```/gms, '');
  const targets = Array.from(prose.matchAll(/\]\(([^)\s]+)\)/g), ([, target = '']) => target);
  return targets.filter((target) => {
    if (/^[a-z]+:/.test(target)) return false;
    const [path = '', anchor] = target.split('#');
    const file = join(repository, path === '' ? page : join(dirname(page), path));
    if (!existsSync(file)) return true;
    if (anchor === undefined || statSync(file).isDirectory()) return false;
    return !anchorsIn(readFileSync(file, 'utf8')).has(anchor);
  });
}

/** Of upgrades.md. */
function upgradeOrder(): readonly string[] {
  const [, list = ''] =
    /<!-- order -->\n(.*?)<!-- \/order -->/s.exec(read('docs/operators/upgrades.md')) ?? [];
  return Array.from(list.matchAll(/^\d+\. `(\w+)`$/gm), ([, service = '']) => service);
}

/** Who is upgraded after a service whose topic it reads. */
function tooLate(order: readonly string[], manifest: readonly Topic[]): readonly string[] {
  return manifest.flatMap(({ name, owner, consumers }) =>
    consumers
      .filter((consumer) => order.indexOf(consumer) > order.indexOf(owner))
      .map((consumer) => `${consumer} reads ${name}`),
  );
}

describe('the pages for operators', () => {
  it('have no link that leads nowhere', () => {
    const broken = pages.flatMap((page) => brokenLinks(page).map((link) => `${page}: ${link}`));
    assert.deepEqual(broken, []);
  });

  it('delete in one namespace, and what carries the name of one release', () => {
    const deleting = pages.flatMap(
      (page) => read(page).match(/kubectl [^`\n]*\bdelete\b[^`\n]*/g) ?? [],
    );
    assert.ok(deleting.length > 0);
    for (const each of deleting)
      assert.match(each, / --namespace lethe .*app\.kubernetes\.io\/instance=lethe\b/);
  });

  it('upgrade who reads a topic before who writes it', () => {
    const order = upgradeOrder();
    assert.deepEqual(order.toSorted(), serviceNames.toSorted());
    assert.deepEqual(tooLate(order, topics), []);
    assert.notDeepEqual(tooLate(order.toReversed(), topics), []);
  });

  // A release's new topic or number of partitions is in its own images alone, and is waited for by who needs it.
  it('upgrade first what makes the topics, so that each step finds those of the newest release', async () => {
    const newest = `sha256:${'f'.repeat(64)}`;
    for (const [index] of upgradeOrder().entries()) {
      const gone = upgradeOrder().slice(0, index + 1);
      const digests = Object.fromEntries(gone.map((name) => [name, newest]));
      const objects = (await render(withValues({ image: { digests } }))).objects();
      const images = podsOf(ofKind(objects, 'Job')).flatMap((job) =>
        containersOf(job).map(({ name, image }) => [name, image.endsWith(newest)] as const),
      );
      assert.deepEqual(
        images.filter(([, isNewest]) => isNewest).map(([name]) => name),
        [
          'topics',
          ...serviceNames
            .filter((name) => gone.includes(name))
            .map((name) => `migrate-${name}`)
            .toSorted(),
        ],
      );
    }
  }).timeout(60_000);
});
