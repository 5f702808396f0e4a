import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { load } from 'js-yaml';
import { isInImage } from '../../deploy/images/image-files.ts';
import { imageWishes } from '../../deploy/images/image-names.ts';
import {
  cutLockfile,
  type Lockfile,
  productionPackages,
} from '../../deploy/images/production-packages.ts';
import { imageValues, isPushable, pushImages } from '../../deploy/images/push.ts';
import { normalizedSbom } from '../../deploy/images/sbom.ts';

const lock = JSON.parse(readFileSync('package-lock.json', 'utf8')) as Lockfile;
const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as {
  readonly devDependencies: Readonly<Record<string, string>>;
};

describe('what goes into an image', () => {
  for (const { name, workspace } of imageWishes) {
    it(`${name}: production packages, its own workspaces, no engine and no tool`, () => {
      const { places, workspaces } = productionPackages(lock, workspace);
      const expected =
        name === 'client' ? [workspace, 'proto'] : [workspace, 'proto', 'services/platform'];
      assert.deepEqual(workspaces.toSorted(), expected.toSorted());
      const packages = places.map((place) => place.slice(place.lastIndexOf('node_modules/') + 13));
      const engines = packages.filter((each) => /^(chdb|@chdb\/|@electric-sql\/)/.test(each));
      assert.deepEqual(engines, []);
      const types = (each: string) => each.startsWith('@types/');
      const tools = packages.filter((each) => each in manifest.devDependencies && !types(each));
      assert.deepEqual(tools, []);
    });
  }

  it('takes a nested package before one above it, and leaves peers and development alone', () => {
    const packages: Lockfile['packages'] = {
      '': {},
      app: { dependencies: { a: '1' }, devDependencies: { tool: '1' } },
      'node_modules/app': { link: true, resolved: 'app' },
      'node_modules/a': { version: '1.0.0', dependencies: { b: '2' } },
      'node_modules/a/node_modules/b': { version: '2.0.0', optionalDependencies: { none: '1' } },
      'node_modules/b': { version: '1.0.0' },
      'node_modules/tool': { version: '1.0.0' },
    };
    const small = { name: 'x', version: '1', lockfileVersion: 3, packages };
    const chosen = productionPackages(small, 'app');
    assert.deepEqual(chosen, {
      workspaces: ['app'],
      places: ['node_modules/a', 'node_modules/a/node_modules/b', 'node_modules/app'],
    });
    const { lockfile } = cutLockfile(small, chosen, undefined);
    assert.deepEqual(Object.keys(lockfile.packages), ['', 'app', ...chosen.places]);
    assert.deepEqual(lockfile.packages['app'], { dependencies: { a: '1' } });
  });

  it('refuses a lockfile that lacks something', () => {
    const packages = {
      app: { dependencies: { a: '1' } },
      'node_modules/app': { link: true, resolved: 'app' },
    };
    const broken = { name: 'x', version: '1', lockfileVersion: 3, packages };
    assert.throws(() => productionPackages(broken, 'app'), /has no a for app/);
  });

  it('leaves tests and what builds out, and keeps what runs', () => {
    const kept = [
      'src/main.ts',
      'src/domain/ticket.ts',
      'gen/descriptors.binpb',
      'src/mappings/zendesk.json',
    ];
    const left = [
      'src/main.test.ts',
      'README.md',
      'tsconfig.json',
      'package.json',
      'src/event-log/contract-support.ts',
    ];
    assert.deepEqual(
      kept.filter((file) => !isInImage(file, false)),
      [],
    );
    assert.deepEqual(
      left.filter((file) => isInImage(file, false)),
      [],
    );
    assert.equal(isInImage('src/testing', true), false);
    assert.equal(isInImage('frozen', true), false);
  });

  it('has an SBOM without chance and hour', () => {
    const said = (serialNumber: string) => ({
      serialNumber,
      metadata: { timestamp: new Date().toISOString(), component: { name: 'app' } },
      components: [],
    });
    const sbom = normalizedSbom(said('urn:uuid:1'), 'services/tickets', 0);
    assert.deepEqual(sbom, normalizedSbom(said('urn:uuid:2'), 'services/tickets', 0));
    assert.match(sbom.serialNumber ?? '', /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab]/);
  });

  it('is named to the chart by the digest that its own registry gave', async () => {
    const digest = (letter: string) => `sha256:${letter.repeat(64)}`;
    const pushed: string[] = [];
    // As Docker 28 says it; images.contract.ts builds, and no registry is there to push to.
    const docker = async (...args: readonly string[]) => {
      if (args[0] === 'push') pushed.push(args.at(-1) ?? '');
      const repository = (args.at(-1) ?? '').replace(/:dev$/, '');
      return JSON.stringify([
        `other.example.net/lethe@${digest('a')}`,
        `${repository}@${digest(repository.endsWith('client') ? 'c' : 'b')}`,
      ]);
    };
    const prefix = 'registry.example.net:5000/team/lethe';
    const images = ['tickets', 'client'].map((name) => ({
      name,
      reference: `${prefix}/${name}:dev`,
    }));
    const values = load(imageValues(prefix, await pushImages(docker, images)));
    assert.deepEqual(
      pushed,
      images.map(({ reference }) => reference),
    );
    assert.deepEqual(values, {
      image: {
        registry: 'registry.example.net:5000',
        repository: 'team/lethe',
        digests: { tickets: digest('b'), client: digest('c') },
      },
    });
    await assert.rejects(
      pushImages(async () => '[]', images),
      /no digest for .*tickets:dev/,
    );
  });

  it('is pushed only where a registry is named', () => {
    for (const prefix of ['registry.example.net/lethe', 'localhost:5000/lethe', 'kind:5000/a/b'])
      assert.ok(isPushable(prefix), prefix);
    for (const prefix of ['lethe', 'team/lethe', 'registry.example.net', ''])
      assert.ok(!isPushable(prefix), prefix);
  });

  it('is built for every platform by the processor that builds: nothing runs on the target', () => {
    const dockerfile = readFileSync('deploy/images/Dockerfile', 'utf8');
    const [, ...stages] = dockerfile.split(/^(?=FROM )/m);
    const running = stages.filter((stage) => /^RUN /m.test(stage));
    assert.equal(running.length, 1);
    assert.match(running[0] ?? '', /^FROM --platform=\$\{BUILDPLATFORM\} /);
    assert.doesNotMatch(stages.at(-1) ?? '', /^RUN /m);
  });

  it('stands on images that are pinned by digest', () => {
    const dockerfile = readFileSync('deploy/images/Dockerfile', 'utf8');
    const defaults = [...dockerfile.matchAll(/^ARG (?:BUILDER|BASE)=(.*)$/gm)].map(
      ([, image]) => image,
    );
    assert.equal(defaults.length, 2);
    for (const image of defaults) assert.match(image ?? '', /@sha256:[0-9a-f]{64}$/);
  });
});
