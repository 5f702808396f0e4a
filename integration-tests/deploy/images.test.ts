import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
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
import { blocksIn } from '../cluster/page.ts';

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

  it('is built for two processors by the block of the page, with every label and a file of values', () => {
    const page = readFileSync('docs/operators/images.md', 'utf8');
    const [block = ''] = blocksIn(page).filter((each) => each.includes('buildx build'));
    const { builds, values } = ranWithStandIns(block);
    const declared = readFileSync('deploy/images/Dockerfile', 'utf8').matchAll(/^ARG (\w+)/gm);
    const ofBases = new Set(['BUILDER', 'BASE', 'BUILDPLATFORM']);
    const names = Array.from(declared, ([, name = '']) => name);
    const wanted = new Set(names.filter((name) => !ofBases.has(name)));
    const prefix = 'registry.example.com/lethe';
    for (const [index, { name, workspace, title }] of imageWishes.entries()) {
      const words = builds[index] ?? [];
      const after = (option: string) => words[words.indexOf(option) + 1];
      assert.deepEqual(words.slice(0, 2), ['buildx', 'build']);
      assert.equal(after('--platform'), 'linux/amd64,linux/arm64');
      assert.equal(after('-f'), 'deploy/images/Dockerfile');
      for (const word of ['--push', '--provenance=mode=max', '--sbom=true']) {
        assert.ok(words.includes(word), words.join(' '));
      }
      const given = words.flatMap((word, at) => (words[at - 1] === '--build-arg' ? [word] : []));
      const set = new Map(given.map((each) => each.split(/=(.*)/s) as [string, string]));
      assert.deepEqual(new Set(set.keys()), wanted, name);
      assert.ok(
        [...set.values()].every((value) => value !== ''),
        given.join(' '),
      );
      assert.deepEqual([set.get('PACKAGE'), set.get('TITLE')], [workspace, title]);
      assert.deepEqual(
        [set.get('REVISION'), set.get('SOURCE_DATE_EPOCH')],
        ['abc123', '1760000000'],
      );
      assert.ok(words.includes(`${prefix}/${name}:1.2.0`), words.join(' '));
    }
    assert.equal(builds.length, imageWishes.length);
    const digests = imageWishes.map(({ name }) => [name, digestOfStandIn(name)] as const);
    assert.deepEqual(load(values), load(imageValues(prefix, new Map(digests))));
  });

  it('writes no file of values when one of the images was not built', () => {
    const page = readFileSync('docs/operators/images.md', 'utf8');
    const [block = ''] = blocksIn(page).filter((each) => each.includes('buildx build'));
    assert.throws(() => ranWithStandIns(block, 'keys'), /Command failed/);
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

function digestOfStandIn(name: string): string {
  return `sha256:${Buffer.from(name).toString('hex').padEnd(64, '0')}`;
}

/** Docker that only notes what it is asked, one argument a line, and tells a digest made of the image's name. */
const dockerStandIn = `#!${process.execPath}
const { appendFileSync, writeFileSync } = require('node:fs');
const words = process.argv.slice(2);
appendFileSync('builds', words.join('\\n') + '\\n\\n');
const after = (option) => words[words.indexOf(option) + 1];
const name = after('-t').split('/').at(-1).split(':')[0];
if (name === process.env.FAILING) process.exit(1);
const digest = 'sha256:' + Buffer.from(name).toString('hex').padEnd(64, '0');
writeFileSync(after('--metadata-file'), JSON.stringify({ 'containerimage.digest': digest }));
`;

/** Runs a block of a page in an empty folder, with stand-ins for what it would ask of this machine. */
function ranWithStandIns(block: string, failing = '') {
  const folder = mkdtempSync(path.join(tmpdir(), 'lethe-buildx-'));
  try {
    const programs = path.join(folder, 'programs');
    mkdirSync(programs);
    writeFileSync(path.join(programs, 'docker'), dockerStandIn, { mode: 0o755 });
    writeFileSync(
      path.join(programs, 'git'),
      '#!/bin/sh\n[ "$1" = log ] && echo 1760000000 || echo abc123\n',
      { mode: 0o755 },
    );
    const places = [programs, path.dirname(process.execPath), process.env['PATH'] ?? ''];
    const env = { ...process.env, PATH: places.join(':'), FAILING: failing };
    execFileSync('sh', ['-euc', block], { cwd: folder, env });
    const read = (file: string) => readFileSync(path.join(folder, file), 'utf8');
    const builds = read('builds').trim().split('\n\n');
    return { builds: builds.map((each) => each.split('\n')), values: read('images.yaml') };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
