import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repository, withTemporaryTree, type Files } from './temporary-tree.ts';

interface LintResult {
  readonly diagnostics: readonly { readonly code?: string; readonly filename: string }[];
}

const configFile = '.oxlintrc.json';
const config = readFileSync(join(repository, configFile), 'utf8');
const lines = (count: number, line: string): string => `${line}\n`.repeat(count);

/** One violation per rule that the configuration names. */
const forbidden: Readonly<Record<string, string>> = {
  eqeqeq: 'export const same = (a: string, b: string): boolean => a == b;',
  'max-lines': lines(301, 'export {};'),
  'max-lines-per-function': `export function long(): void {\n${lines(60, '  Math.random();')}}`,
  'no-console': 'console.log(1);',
  'no-empty': 'try { Math.random(); } catch {}',
  'no-restricted-imports': `import { env } from 'node:process'; export const home = env;`,
  'no-restricted-properties':
    'export const f = (a: AbortSignal): AbortSignal => AbortSignal.any([a]);',
  'no-warning-comments': `// ${'TO'}${'DO'}: later\nexport {};`,
  'no-var': 'export var a = 1;',
  'prefer-const': 'export function f(): number { let a = 1; return a; }',
  'preserve-caught-error': `try { Math.random(); } catch (error) { throw new Error('lost'); }`,
  'import/no-default-export': 'export default 1;',
  'import/no-mutable-exports': 'export let a = 1; a = 2;',
  'node/no-process-env': `export const home = process.env['HOME'];`,
  'oxc/no-barrel-file': `export * from './eqeqeq.ts';`,
  'typescript/await-thenable': 'export async function f(): Promise<void> { await 1; }',
  'typescript/ban-ts-comment': `// @ts-${'ignore'}\nexport {};`,
  'typescript/consistent-type-imports': `import { Stats } from 'node:fs'; export type S = Stats;`,
  'typescript/no-explicit-any': 'export const a: any = 1;',
  'typescript/no-floating-promises': 'Promise.resolve(1);',
  'typescript/no-import-type-side-effects': `import { type Stats } from 'node:fs'; export type S = Stats;`,
  'typescript/no-misused-promises': '[1].forEach(async () => { await Promise.resolve(); });',
  'typescript/no-namespace': 'export namespace N { export type A = 1; }',
  'typescript/only-throw-error': `export function f(): void { throw 'text'; }`,
  'typescript/return-await':
    'export async function f(p: Promise<void>): Promise<void> { try { return p; } catch { Math.random(); } }',
  'typescript/switch-exhaustiveness-check': `export function f(a: 'x' | 'y'): void { switch (a) { case 'x': Math.random(); } }`,
  'unicorn/filename-case': 'export {};',
  'unicorn/prefer-node-protocol': `import { join } from 'path'; export const j = join;`,
};

function fileOf(rule: string): string {
  const name = rule.replace('/', '-');
  return `services/keys/src/${rule === 'unicorn/filename-case' ? 'camelCase' : name}.ts`;
}

/** Lints the files with the repository's own configuration; answers `path: plugin(rule)`. */
function lint(files: Files): string[] {
  const tsconfig = JSON.stringify({
    compilerOptions: {
      strict: true,
      module: 'nodenext',
      target: 'es2024',
      types: ['node'],
      noEmit: true,
    },
  });
  let found: string[] = [];
  withTemporaryTree({ [configFile]: config, 'tsconfig.json': tsconfig, ...files }, (tree) => {
    tree.link('node_modules', join(repository, 'node_modules'));
    const result = JSON.parse(tree.run('oxlint', ['--format', 'json', 'services'])) as LintResult;
    found = result.diagnostics.map(({ filename, code }) => `${filename}: ${code ?? 'no code'}`);
  });
  return found;
}

/** `typescript/no-namespace` of the configuration is `typescript(no-namespace)` of the report. */
function codeOf(rule: string): string {
  const [plugin, name] = rule.includes('/') ? rule.split('/') : ['eslint', rule];
  return `${plugin}(${name})`;
}

describe('the lint rules', () => {
  it('are red, each for its violation', () => {
    const files = Object.entries(forbidden).map(([rule, text]) => [fileOf(rule), `${text}\n`]);
    const found = lint(Object.fromEntries(files) as Files);
    const expected = Object.keys(forbidden).map((rule) => `${fileOf(rule)}: ${codeOf(rule)}`);
    const silent = expected.filter((line) => !found.includes(line));
    assert.deepEqual(silent, [], `found only\n${found.join('\n')}`);
  });

  it('have each a violation here', () => {
    const { rules } = JSON.parse(config) as { readonly rules: Readonly<Record<string, unknown>> };
    assert.deepEqual(Object.keys(rules).sort(), Object.keys(forbidden).sort());
  });

  it('let a main read the environment, a command print and a test be long', () => {
    const found = lint({
      'services/keys/src/main.ts': `export const home = process.env['HOME'];\n`,
      'services/cli/src/print.ts': 'console.log(1);\n',
      'services/keys/src/long.test.ts': lines(301, 'export {};'),
    });
    assert.deepEqual(found, []);
  });
});

/** What no rule of the linter can forbid: silencing it, and state that outlives its owner. */
const sourceRules: Readonly<Record<string, { pattern: RegExp; red: string }>> = {
  'silences a check': {
    pattern: /(?:ox|es)lint-disable|@ts-(?:ignore|nocheck|expect-error)|prettier-ignor[e]/,
    red: `// ${'ox'}lint-disable-next-line no-console`,
  },
  'keeps mutable state in a module': {
    pattern: /^(?:export )?(?:let |const [^=]+ = new (?:Weak)?(?:Map|Set)\b.*\(\);)/m,
    red: 'const seen = new Map<string, number>();',
  },
};

describe('the sources', () => {
  const sources = globSync(['proto/**/*.ts', 'services/**/*.ts', 'integration-tests/**/*.ts'], {
    cwd: repository,
    exclude: ['**/node_modules/**', '**/dist/**', 'proto/gen/**'],
  }).map((path) => ({ path, text: readFileSync(join(repository, path), 'utf8') }));

  for (const [name, { pattern, red }] of Object.entries(sourceRules)) {
    it(`have no file that ${name}`, () => {
      assert.match(red, pattern);
      assert.ok(sources.length > 0);
      assert.deepEqual(
        sources.filter(({ text }) => pattern.test(text)).map(({ path }) => path),
        [],
      );
    });
  }
});
