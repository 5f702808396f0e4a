import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import path from 'node:path';
import {
  type BuildContext,
  type BuiltImage,
  type BuildWish,
  buildImages,
  prepareBuild,
} from '../../deploy/images/build-images.ts';
import { type DockerCommand, dockerCommand } from '../../deploy/images/docker-command.ts';
import { imageWishes } from '../../deploy/images/image-names.ts';
import { type Lockfile, productionPackages } from '../../deploy/images/production-packages.ts';
import { startLocalDocker, whyNoDockerDaemon } from '../../deploy/local/docker.ts';

const bytesMax = 250_000_000;
/** All of them take a few minutes: `LETHE_IMAGES=all`. */
const wished =
  process.env['LETHE_IMAGES'] === 'all'
    ? imageWishes
    : imageWishes.filter(({ name }) => ['analytics', 'client'].includes(name));
const lock = JSON.parse(readFileSync('package-lock.json', 'utf8')) as Lockfile;

/** As a pod of the restricted level runs it, without a network. */
const restricted = [
  'run',
  '--rm',
  '--read-only',
  '--cap-drop=ALL',
  '--security-opt=no-new-privileges',
  '--network=none',
];

/** In no layer: where a container's own files are mounted. */
const madeByDocker = / (\.dockerenv|dev\/console|etc\/(hostname|hosts|resolv\.conf|mtab.*))$/;

interface Inspected {
  readonly Config: {
    readonly User: string;
    readonly Entrypoint: readonly string[];
    readonly Labels: Readonly<Record<string, string>>;
  };
}

interface Sbom {
  readonly bomFormat: string;
  readonly components: readonly { readonly name: string; readonly version: string }[];
}

function npmProgram(): string {
  const given = process.env['npm_execpath'];
  if (given !== undefined) return realpathSync(given);
  return realpathSync(execFileSync('sh', ['-c', 'command -v npm'], { encoding: 'utf8' }).trim());
}

/** "pg@8.23.1", once for each version that is installed. */
function lockedPackages(workspace: string): string[] {
  const { places } = productionPackages(lock, workspace);
  const named = places.map((place) => {
    const entry = lock.packages[place];
    const target = entry?.link === true ? lock.packages[entry.resolved ?? ''] : entry;
    const name = target?.name ?? place.slice(place.lastIndexOf('node_modules/') + 13);
    return `${name}@${target?.version}`;
  });
  return [...new Set(named)].toSorted();
}

function imageTests(this: Mocha.Suite): void {
  this.timeout(900_000);
  let docker: DockerCommand;
  let stop: (() => Promise<void>) | undefined;
  let folder: string;
  let context: BuildContext;
  let built: readonly BuiltImage[];

  const wishFor = (images: typeof imageWishes, tag: string, isFresh: boolean): BuildWish => {
    const cacheRoot = process.env['XDG_CACHE_HOME'] ?? path.join(homedir(), '.cache');
    const npmCache = path.join(cacheRoot, 'lethe/npm-images');
    const npm = npmProgram();
    return { images, prefix: 'lethe', tag, isFresh, npm, npmCache, base: 'stand-in' };
  };

  before(async function () {
    const why = whyNoDockerDaemon();
    if (why !== undefined) {
      assert.notEqual(process.env['CI'], 'true', `CI needs a container: ${why}`);
      console.warn(`SKIPPED: no image can be built: ${why}`);
      this.skip();
    }
    const started = await startLocalDocker();
    stop = started.stop;
    docker = dockerCommand(started.host);
    folder = mkdtempSync(path.join(tmpdir(), 'lethe-images-'));
    const wish = wishFor(wished, 'test', false);
    context = await prepareBuild(docker, wish);
    built = await buildImages(docker, wish, context);
    for (const { reference, bytes, durationMs } of built) {
      const took = (durationMs / 1000).toFixed(0);
      console.log(`    ${reference}: ${(bytes / 1e6).toFixed(0)} MB, built in ${took} s`);
    }
  });
  after(async () => {
    await stop?.();
    context?.remove();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });

  /** Path and what `tar` says of mode and owner, of every file in the image. */
  const filesOf = async (reference: string): Promise<ReadonlyMap<string, string>> => {
    const container = await docker('create', reference);
    const archive = path.join(folder, 'files.tar');
    await docker('export', '-o', archive, container);
    await docker('rm', container);
    const listed = execFileSync('tar', ['-tvf', archive, '--numeric-owner'], {
      encoding: 'utf8',
      maxBuffer: 64 * 1024 * 1024,
    });
    const lines = listed.split('\n').filter(Boolean);
    const entries = lines
      .filter((line) => !madeByDocker.test(line))
      .map((line): [string, string] => {
        const [mode = '', owner = '', , , , ...file] = line.split(/\s+/);
        return [`/${file.join(' ')}`, `${mode} ${owner}`];
      });
    return new Map(entries);
  };

  it('are small, and say what they are', async () => {
    for (const { reference, bytes, name } of built) {
      assert.ok(bytes < bytesMax, `${reference} has ${bytes} bytes`);
      const [found] = JSON.parse(
        await docker('image', 'inspect', reference),
      ) as readonly Inspected[];
      assert.equal(found?.Config.User, '65532:65532');
      assert.equal(found.Config.Entrypoint[0], '/nodejs/bin/node');
      assert.equal(found.Config.Entrypoint.at(-1), '/app/main.ts');
      const labels = found.Config.Labels;
      assert.match(labels['org.opencontainers.image.revision'] ?? '', /^[0-9a-f]{40}/);
      const title = labels['org.opencontainers.image.title'] ?? '';
      assert.match(title, new RegExp(name === 'client' ? 'lethe command' : name));
      assert.notEqual(labels['org.opencontainers.image.base.name'] ?? '', '');
    }
  });

  it('run with nothing to write to, no capability and no network', async () => {
    for (const { reference, name } of built) {
      const help = await docker(...restricted, reference, '--help');
      assert.match(help, name === 'client' ? /Usage: lethe/ : new RegExp(`The ${name} service`));
      if (name === 'client') continue;
      const checking = docker(...restricted, reference, '--check-config');
      await assert.rejects(checking, /LETHE_POSTGRES_URL/);
    }
  });

  it('have no shell, no package manager, nothing that runs as somebody else', async () => {
    for (const { reference } of built) {
      const files = await filesOf(reference);
      assert.ok(files.size > 500, 'the listing is whole');
      const programs = [...files].filter(([, mode]) => /^-..[xs]/.test(mode));
      const known = /^\/(nodejs\/bin\/node|lib|lib64|usr\/lib|app\/node_modules)(\/|$)/;
      assert.deepEqual(
        programs.map(([file]) => file).filter((file) => !known.test(file)),
        [],
      );
      const shells = /\/(sh|bash|dash|ash|busybox|npm|npx|apt|dpkg)$/;
      assert.deepEqual(
        programs.map(([file]) => file).filter((file) => shells.test(file)),
        [],
      );
      const special = [...files].filter(([, mode]) => /^...s|^......s/.test(mode));
      assert.deepEqual(special, []);
      const foreign = [...files].filter(
        ([file, mode]) => file.startsWith('/app') && !mode.endsWith(' 0/0'),
      );
      assert.deepEqual(foreign, [], 'the user of the image owns nothing of it');
    }
  });

  it('hold no test, no secret, nothing that is for development', async () => {
    for (const { reference } of built) {
      const files = [...(await filesOf(reference)).keys()];
      const own = files.filter((file) => /^\/app\/(services|proto)\//.test(file));
      assert.ok(own.some((file) => file.endsWith('/src/main.ts')));
      const unwanted = own.filter((file) =>
        /\.test\.ts$|\/testing\/|contract-|\/golden\/|tsconfig|\/dist\//.test(file),
      );
      assert.deepEqual(unwanted, []);
      const secrets = files.filter((file) => /\.(pem|key|jwk|p12|env|npmrc)$|keyring/.test(file));
      assert.deepEqual(
        secrets.filter((file) => !/^\/etc\/ssl\/|keyring\.ts$|keyring-[a-z-]+\.ts$/.test(file)),
        [],
      );
      const native = files.filter((file) => file.startsWith('/app') && /\.(node|so)$/.test(file));
      assert.deepEqual(native, [], 'the tree is of no platform');
    }
  });

  it('have the production packages of the lockfile and no others, as the SBOM says', async () => {
    for (const { name, workspace } of wished) {
      const reference = built.find((image) => image.name === name)?.reference ?? '';
      const container = await docker('create', reference);
      const file = path.join(folder, `${name}.cdx.json`);
      await docker('cp', `${container}:/app/sbom.cdx.json`, file);
      await docker('rm', container);
      const sbom = JSON.parse(readFileSync(file, 'utf8')) as Sbom;
      assert.equal(sbom.bomFormat, 'CycloneDX');
      const locked = lockedPackages(workspace);
      const stated = sbom.components.map((each) => `${each.name}@${each.version}`);
      const named = (one: string) => one.replace(/^@lethe\//, '');
      assert.deepEqual(stated.map(named).toSorted(), locked.map(named).toSorted());
      const installed = [...(await filesOf(reference)).keys()]
        .map(
          (one) =>
            /^\/app\/(?:.*\/)?node_modules\/((?:@[^/]+\/)?[^/@.][^/]*)\/package\.json$/.exec(
              one,
            )?.[1],
        )
        .filter((one) => one !== undefined);
      const outside = locked.map((one) => one.slice(0, one.lastIndexOf('@')));
      const expected = outside.filter((one) => !one.startsWith('@lethe/'));
      assert.deepEqual(new Set(installed), new Set(expected));
      assert.ok(!expected.some((one) => /chdb|pglite|mocha|typescript$/.test(one)));
    }
  });

  it('have the same layers when they are built again from nothing', async () => {
    const image = wished.find(({ name }) => name === 'client');
    if (image === undefined) throw new RangeError('no client');
    const first = built.find(({ name }) => name === 'client');
    const [again] = await buildImages(docker, wishFor([image], 'again', true), context);
    assert.deepEqual(again?.layers, first?.layers);
  });
}

if (process.env['LETHE_CONTAINERS'] === 'off') {
  console.warn('!!! SKIPPED, NOT CHECKED: LETHE_CONTAINERS=off, no image is built');
} else {
  describe('the images', imageTests);
}
