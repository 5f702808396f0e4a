import { execFile, execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { cutLockfile, type Lockfile, productionPackages } from './production-packages.ts';

const run = promisify(execFile);
const checkout = path.resolve(import.meta.dirname, '../..');
/** What `npm run generate` makes is in no commit. */
const generated = 'proto/gen';

/** Fills `folder` with what the Dockerfile looks at: files of the work tree that git knows, and what is generated. */
export function makeContext(folder: string): void {
  if (!existsSync(path.join(checkout, generated, 'shapes.ts'))) {
    throw new Error('proto/gen is not there: npm run generate');
  }
  const list = ['ls-files', '-z', '--cached', '--others', '--exclude-standard', '--'];
  const wanted = [
    'package.json',
    'package-lock.json',
    'proto',
    'services',
    'deploy',
    '*package.json',
  ];
  const said = execFileSync('git', [...list, ...wanted], { cwd: checkout, encoding: 'utf8' });
  for (const file of said.split('\0').filter(Boolean)) {
    const from = path.join(checkout, file);
    if (existsSync(from)) cpSync(from, path.join(folder, file));
  }
  cpSync(path.join(checkout, generated), path.join(folder, generated), { recursive: true });
}

/**
 * Puts the packages of these workspaces into npm's cache and the cache into the context, for a builder that reaches no
 * registry. `cache` stays for the next time. `npm` is its npm-cli.js.
 */
export async function fillNpmCache(
  context: string,
  workspaces: readonly string[],
  { cache, npm }: { readonly cache: string; readonly npm: string },
): Promise<void> {
  const lock = readJson('package-lock.json') as unknown as Lockfile;
  const { overrides } = readJson('package.json');
  const each = workspaces.map((workspace) => productionPackages(lock, workspace));
  const all = {
    workspaces: unique(each.flatMap((one) => one.workspaces)),
    places: unique(each.flatMap(({ places }) => places)).toSorted(),
  };
  const { manifest, lockfile } = cutLockfile(lock, all, overrides);
  const folder = path.join(context, 'npm-cache-filling');
  const write = (file: string, value: unknown): void => {
    mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
    writeFileSync(path.join(folder, file), JSON.stringify(value));
  };
  write('package.json', manifest);
  write('package-lock.json', lockfile);
  for (const workspace of all.workspaces) {
    const { devDependencies: _left, ...own } = readJson(`${workspace}/package.json`);
    write(`${workspace}/package.json`, own);
  }
  mkdirSync(cache, { recursive: true });
  const options = ['--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund'];
  await run(process.execPath, [npm, 'ci', ...options, `--cache=${cache}`], { cwd: folder });
  rmSync(folder, { recursive: true });
  cpSync(path.join(cache, '_cacache'), path.join(context, 'npm-cache/_cacache'), {
    recursive: true,
  });
}

function readJson(file: string): Record<string, unknown> {
  return JSON.parse(readFileSync(path.join(checkout, file), 'utf8')) as Record<string, unknown>;
}

function unique<T>(values: readonly T[]): readonly T[] {
  return [...new Set(values)];
}
