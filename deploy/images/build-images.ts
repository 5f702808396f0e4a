import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fillNpmCache, makeContext } from './build-context.ts';
import type { DockerCommand } from './docker-command.ts';
import type { ImageWish } from './image-names.ts';
import { buildStandIns, standInBase, standInBuilder } from './stand-in.ts';

export interface BuildWish {
  readonly images: readonly ImageWish[];
  /** Of the names, such as "lethe" or "registry.example.com/lethe". */
  readonly prefix: string;
  readonly tag: string;
  /** `stand-in`: base and builder are made here and npm asks no registry. Otherwise what the Dockerfile names. */
  readonly base: 'stand-in' | BaseImages;
  /** npm's npm-cli.js. */
  readonly npm: string;
  /** Where npm keeps packages from one build to the next. */
  readonly npmCache: string;
  /** Nothing of an earlier build is taken. */
  readonly isFresh?: boolean;
  readonly source?: string;
  readonly say?: (line: string) => void;
}

/** Undefined: the Dockerfile's own. */
export interface BaseImages {
  readonly base?: string;
  readonly builder?: string;
}

export interface BuiltImage {
  readonly name: string;
  readonly reference: string;
  /** Of the daemon: the digest of the image's configuration. */
  readonly id: string;
  /** All layers, as they lie on a disk. */
  readonly bytes: number;
  /** Digests of the layers, base first. */
  readonly layers: readonly string[];
  readonly architecture: string;
  readonly durationMs: number;
}

const checkout = path.resolve(import.meta.dirname, '../..');

/** What the images are built of: a copy that nobody changes meanwhile. */
export interface BuildContext {
  readonly folder: string;
  readonly revision: string;
  /** Of every file in the images, seconds since 1970: the commit's. */
  readonly epochS: string;
  readonly remove: () => void;
}

/** Copies the checkout and, for stand-ins, makes them and fills npm's cache. */
export async function prepareBuild(docker: DockerCommand, wish: BuildWish): Promise<BuildContext> {
  const folder = mkdtempSync(path.join(tmpdir(), 'lethe-images-'));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  try {
    makeContext(folder);
    const context = { folder, revision: revision(), epochS: commitTimeS(), remove };
    if (wish.base !== 'stand-in') return context;
    wish.say?.('base and builder: a stand-in of this machine');
    await buildStandIns(docker, wish.npm);
    const workspaces = wish.images.map(({ workspace }) => workspace);
    await fillNpmCache(folder, workspaces, { cache: wish.npmCache, npm: wish.npm });
    return context;
  } catch (error) {
    remove();
    throw error;
  }
}

/** Builds images one after another. */
export async function buildImages(
  docker: DockerCommand,
  wish: BuildWish,
  context: BuildContext,
): Promise<BuiltImage[]> {
  const built: BuiltImage[] = [];
  for (const image of wish.images) {
    const place = `[${built.length + 1}/${wish.images.length}]`;
    wish.say?.(`${place} ${wish.prefix}/${image.name}:${wish.tag}`);
    built.push(await buildOne(docker, wish, image, context));
  }
  return built;
}

async function buildOne(
  docker: DockerCommand,
  wish: BuildWish,
  image: ImageWish,
  context: BuildContext,
): Promise<BuiltImage> {
  const startedMs = performance.now();
  const reference = `${wish.prefix}/${image.name}:${wish.tag}`;
  const { version } = JSON.parse(readFileSync(path.join(checkout, 'package.json'), 'utf8')) as {
    readonly version: string;
  };
  const bases =
    wish.base === 'stand-in' ? { base: standInBase, builder: standInBuilder } : wish.base;
  const values: Readonly<Record<string, string | undefined>> = {
    PACKAGE: image.workspace,
    TITLE: image.title,
    VERSION: version,
    REVISION: context.revision,
    SOURCE: wish.source,
    SOURCE_DATE_EPOCH: context.epochS,
    BUILDPLATFORM: await docker('version', '--format', '{{.Server.Os}}/{{.Server.Arch}}'),
    BASE: bases.base,
    BUILDER: bases.builder,
  };
  const given = Object.entries(values).flatMap(([name, value]) =>
    value === undefined ? [] : ['--build-arg', `${name}=${value}`],
  );
  const fresh = wish.isFresh === true ? ['--no-cache'] : [];
  const file = path.join(context.folder, 'deploy/images/Dockerfile');
  await docker('build', '-q', ...fresh, ...given, '-f', file, '-t', reference, context.folder);
  const [found] = JSON.parse(await docker('image', 'inspect', reference)) as readonly Inspected[];
  if (found === undefined) throw new Error(`no image ${reference}`);
  return {
    name: image.name,
    reference,
    id: found.Id,
    bytes: found.Size,
    layers: found.RootFS.Layers,
    architecture: found.Architecture,
    durationMs: performance.now() - startedMs,
  };
}

interface Inspected {
  readonly Id: string;
  readonly Size: number;
  readonly Architecture: string;
  readonly RootFS: { readonly Layers: readonly string[] };
}

/** The commit, and whether the work tree differs from it. */
function revision(): string {
  const changed = git('status', '--porcelain', '--untracked-files=no') === '' ? '' : '-changed';
  return `${git('rev-parse', 'HEAD')}${changed}`;
}

function commitTimeS(): string {
  return git('log', '-1', '--format=%ct');
}

function git(...args: readonly string[]): string {
  return execFileSync('git', args, { cwd: checkout, encoding: 'utf8' }).trim();
}
