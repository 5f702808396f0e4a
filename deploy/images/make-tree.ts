/**
 * Makes what goes into one image, out of a checkout: run by the Dockerfile, with nothing installed.
 *
 *   PACKAGE=services/tickets SOURCE_DATE_EPOCH=0 node deploy/images/make-tree.ts /tree
 *
 * /tree/packages is a layer with the production packages, /tree/code one with the code and the SBOM. Where the checkout
 * has a folder `npm-cache`, npm takes everything from there and asks no registry.
 */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { isInImage } from './image-files.ts';
import { cutLockfile, type Lockfile, productionPackages } from './production-packages.ts';
import { normalizedSbom } from './sbom.ts';

const [target] = process.argv.slice(2);
const workspace = process.env['PACKAGE'];
if (target === undefined || workspace === undefined || workspace === '') {
  process.stderr.write('PACKAGE=services/NAME make-tree.ts FOLDER\n');
  process.exit(2);
}
const epochS = Number(process.env['SOURCE_DATE_EPOCH'] ?? 0);
const checkout = path.resolve(import.meta.dirname, '../..');
/** Where npm lies in Node's own images. */
const npmInImage = '/usr/local/lib/node_modules/npm/bin/npm-cli.js';

function readJson(file: string): unknown {
  return JSON.parse(readFileSync(file, 'utf8'));
}

function writeJson(file: string, value: unknown): void {
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(value, undefined, 2)}\n`);
}

function npm(...args: string[]): string {
  const cache = path.join(checkout, 'npm-cache');
  const given = existsSync(cache) ? ['--offline', `--cache=${cache}`] : [];
  const quiet = ['--no-audit', '--no-fund', '--no-update-notifier', '--loglevel=error'];
  const program = process.env['npm_execpath'] ?? npmInImage;
  return execFileSync(process.execPath, [program, ...args, ...given, ...quiet], {
    cwd: app,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 64 * 1024 * 1024,
  });
}

/** Order, times and modes of the files are no accident of the machine that built them. */
function settle(file: string): void {
  const stat = lstatSync(file);
  if (!stat.isSymbolicLink()) {
    // Node reads what it runs: nothing of ours need be executable.
    const isProgram = (stat.mode & 0o100) !== 0 && !file.endsWith('.ts');
    const isOpen = stat.isDirectory() || isProgram;
    chmodSync(file, isOpen ? 0o755 : 0o644);
  }
  if (stat.isDirectory()) {
    for (const name of readdirSync(file).toSorted()) settle(path.join(file, name));
  }
  lutimesSync(file, epochS, epochS);
}

const app = path.join(target, 'code/app');
const lock = readJson(path.join(checkout, 'package-lock.json')) as Lockfile;
const chosen = productionPackages(lock, workspace);
const { overrides } = readJson(path.join(checkout, 'package.json')) as Record<string, unknown>;
const { manifest, lockfile } = cutLockfile(lock, chosen, overrides);

rmSync(target, { recursive: true, force: true });
writeJson(path.join(app, 'package.json'), manifest);
writeJson(path.join(app, 'package-lock.json'), lockfile);
for (const folder of chosen.workspaces) {
  const { devDependencies: _left, ...own } = readJson(
    path.join(checkout, folder, 'package.json'),
  ) as Record<string, unknown>;
  writeJson(path.join(app, folder, 'package.json'), own);
}

// Scripts of packages are not run: none of these has one that it needs, and they would run what nobody has read.
npm('ci', '--ignore-scripts', '--install-links=false');
const sbom = npm('sbom', '--sbom-format=cyclonedx', '--sbom-type=application');
writeJson(path.join(app, 'sbom.cdx.json'), normalizedSbom(JSON.parse(sbom), workspace, epochS));

for (const folder of chosen.workspaces) {
  const from = path.join(checkout, folder);
  cpSync(from, path.join(app, folder), {
    recursive: true,
    filter: (file) => isInImage(path.relative(from, file), lstatSync(file).isDirectory()),
  });
}
symlinkSync(`${workspace}/src/main.ts`, path.join(app, 'main.ts'));

const packages = path.join(target, 'packages/app');
mkdirSync(packages, { recursive: true });
rmSync(path.join(app, 'node_modules/.bin'), { recursive: true, force: true });
renameSync(path.join(app, 'node_modules'), path.join(packages, 'node_modules'));
for (const folder of chosen.workspaces) {
  const nested = path.join(folder, 'node_modules');
  if (!existsSync(path.join(app, nested))) continue;
  rmSync(path.join(app, nested, '.bin'), { recursive: true, force: true });
  mkdirSync(path.join(packages, folder), { recursive: true });
  renameSync(path.join(app, nested), path.join(packages, nested));
}
settle(target);
