/**
 * Builds the images of the six services and of the client, and says what they weigh. `--help` says how.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, realpathSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { startLocalDocker, whyNoDockerDaemon } from '../local/docker.ts';
import { type BuiltImage, buildImages, prepareBuild } from './build-images.ts';
import { type DockerCommand, dockerCommand } from './docker-command.ts';
import { imageWishes } from './image-names.ts';
import { imageValues, isPushable, pushImages } from './push.ts';
import { standInOrigin } from './stand-in.ts';

const help = `Builds the images of Lethe: ${imageWishes.map(({ name }) => name).join(', ')}.

  npm run images -- [options]

  --only NAMES       some of them, separated by commas
  --prefix NAME      before the names; default lethe, such as registry.example.com/lethe
  --tag TAG          default dev
  --base IMAGE       instead of the Dockerfile's, NAME@sha256:… (distroless: Node at /nodejs/bin/node)
  --builder IMAGE    likewise (Node's own: Node and npm in /usr/local)
  --stand-in         base and builder made of this machine's Node and libraries, where nothing can be pulled
  --out FOLDER       writes each image as NAME.tar there, as docker save does, and its SBOM as NAME.cdx.json
  --push FILE        pushes them, and writes values of the chart with their digests there; --prefix names the registry
  --fresh            takes nothing of an earlier build
  --source URL       of the repository, for the label

Uses the Docker daemon that answers (DOCKER_HOST). Where none does, root gets one for this alone, and the images go with
it: then give --out.

  npm run images                                       all, on the bases that the Dockerfile pins
  npm run images -- --stand-in --out /tmp/images       all, pulling nothing
  npm run images -- --only tickets,client --tag 1.2.0
  npm run images -- --prefix registry.example.net/lethe --push images.yaml

Exit codes: 0 built, 1 something failed, 2 wrong options.
`;

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function fail(message: string, exitCode: number): never {
  process.stderr.write(`${message}\n`);
  process.exit(exitCode);
}

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        only: { type: 'string' },
        prefix: { type: 'string', default: 'lethe' },
        tag: { type: 'string', default: 'dev' },
        base: { type: 'string' },
        builder: { type: 'string' },
        source: { type: 'string' },
        out: { type: 'string' },
        push: { type: 'string' },
        'stand-in': { type: 'boolean', default: false },
        fresh: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
    return values;
  } catch (error) {
    return fail(`${error instanceof Error ? error.message : String(error)}\n\n${help}`, 2);
  }
}

type Options = ReturnType<typeof readOptions>;

function wishesOf({ only }: Options) {
  if (only === undefined) return imageWishes;
  const names = only.split(',');
  const unknown = names.filter((name) => !imageWishes.some((wish) => wish.name === name));
  if (unknown.length > 0) fail(`no image is called ${unknown.join(', ')}; see --help`, 2);
  return imageWishes.filter(({ name }) => names.includes(name));
}

/** A tag can be moved to other bytes; a digest cannot. */
function requirePinned({ base, builder }: Options): void {
  for (const image of [base, builder]) {
    if (image !== undefined && !/@sha256:[0-9a-f]{64}$/.test(image)) {
      fail(`${image} has no digest: NAME@sha256:…`, 2);
    }
  }
}

async function openDocker(options: Options): Promise<[DockerCommand, () => Promise<void>]> {
  const own = dockerCommand(undefined);
  try {
    await own('version', '--format', '{{.Server.Version}}');
    return [own, async () => undefined];
  } catch {
    const why = whyNoDockerDaemon();
    if (why !== undefined) fail(`no Docker daemon answers, and none can be started: ${why}`, 1);
    if (options.out === undefined)
      say('no daemon answers: what is built goes with the one for this');
    const started = await startLocalDocker();
    return [dockerCommand(started.host), started.stop];
  }
}

async function save(docker: DockerCommand, built: readonly BuiltImage[], folder: string) {
  mkdirSync(folder, { recursive: true });
  for (const { name, reference } of built) {
    await docker('save', '-o', path.join(folder, `${name}.tar`), reference);
    const container = await docker('create', reference);
    const sbom = path.join(folder, `${name}.cdx.json`);
    await docker('cp', `${container}:/app/sbom.cdx.json`, sbom);
    await docker('rm', container);
  }
  say(`saved in ${folder}`);
}

function tableOf(built: readonly BuiltImage[]): string {
  const rows = built.map(({ reference, architecture, bytes, durationMs, id }) => [
    reference,
    architecture,
    `${(bytes / 1e6).toFixed(0)} MB`,
    `${(durationMs / 1000).toFixed(0)} s`,
    id,
  ]);
  const head = ['image', 'for', 'size', 'took', 'image id'];
  const widths = head.map((_, column) =>
    Math.max(...[head, ...rows].map((row) => row[column]?.length ?? 0)),
  );
  return [head, ...rows]
    .map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  '))
    .map((line) => line.trimEnd())
    .join('\n');
}

function npmProgram(): string {
  const given = process.env['npm_execpath'];
  if (given !== undefined) return realpathSync(given);
  return realpathSync(execFileSync('sh', ['-c', 'command -v npm'], { encoding: 'utf8' }).trim());
}

const options = readOptions();
if (options.help) {
  say(help.trimEnd());
  process.exit(0);
}
requirePinned(options);
const images = wishesOf(options);
if (options.push !== undefined && !isPushable(options.prefix)) {
  fail(`${options.prefix} names no registry: --prefix HOST/NAME`, 2);
}
const { base, builder, source } = options;
const isStandIn = options['stand-in'];
if (isStandIn && (base ?? builder) !== undefined) fail('--stand-in or --base, not both', 2);
const cacheRoot = process.env['XDG_CACHE_HOME'] ?? path.join(homedir(), '.cache');
const [docker, close] = await openDocker(options);
try {
  if (isStandIn) say(`stand-in: ${standInOrigin()}; for trying, never for production`);
  const wish = {
    images,
    prefix: options.prefix,
    tag: options.tag,
    base: isStandIn
      ? ('stand-in' as const)
      : {
          ...(base === undefined ? {} : { base }),
          ...(builder === undefined ? {} : { builder }),
        },
    npm: npmProgram(),
    npmCache: path.join(cacheRoot, 'lethe/npm-images'),
    isFresh: options.fresh,
    ...(source === undefined ? {} : { source }),
    say,
  };
  const context = await prepareBuild(docker, wish);
  const built = await buildImages(docker, wish, context).finally(context.remove);
  if (options.out !== undefined) await save(docker, built, path.resolve(options.out));
  if (options.push !== undefined) {
    writeFileSync(options.push, imageValues(options.prefix, await pushImages(docker, built)));
    say(`pushed; values with their digests: ${options.push}`);
  }
  say('');
  say(tableOf(built));
} catch (error) {
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`${message}\n`);
  if (!isStandIn) process.stderr.write('Where no base can be pulled: --stand-in\n');
  process.exitCode = 1;
} finally {
  await close();
}
