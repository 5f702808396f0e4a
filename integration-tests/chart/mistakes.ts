import type { Values } from './helm.ts';
import type { Schema } from './values-arbitrary.ts';

/** One wrong value, and where. */
export interface Mistake {
  readonly what: string;
  readonly path: readonly string[];
  readonly values: Values;
}

/** Every key of the schema, mistyped in one way and with one wrong value, the ways in turn; in the order of the schema. */
export function mistakesOf(schema: Schema): readonly Mistake[] {
  return [...keysOf(schema, [])].flatMap(([path, at], index) => [
    ...inTurn(mistyped(path), index).map((wrong) => mistake('mistyped', wrong, exampleOf(at))),
    ...inTurn(wrongTypes(at), index).map((value) => mistake('wrong value', path, value)),
  ]);
}

function inTurn<T>(all: readonly T[], index: number): readonly T[] {
  const chosen = all[index % Math.max(all.length, 1)];
  return chosen === undefined ? [] : [chosen];
}

function* keysOf(
  schema: Schema,
  path: readonly string[],
): Generator<readonly [path: readonly string[], schema: Schema]> {
  for (const [name, member] of Object.entries(schema.properties ?? {})) {
    // Free for whoever embeds the chart.
    if (path.length === 0 && (name === 'global' || name === 'enabled')) continue;
    yield [[...path, name], member];
    yield* keysOf(member, [...path, name]);
  }
}

/** As hands do it: a letter doubled, one left out, the case of one changed. */
function mistyped(path: readonly string[]): readonly (readonly string[])[] {
  const name = path.at(-1) ?? '';
  const parent = path.slice(0, -1);
  const middle = Math.floor(name.length / 2);
  const doubled = name.slice(0, middle) + name.charAt(middle) + name.slice(middle);
  const lacking = name.slice(0, middle) + name.slice(middle + 1);
  const otherCase = /^[a-z]/.test(name)
    ? name.charAt(0).toUpperCase() + name.slice(1)
    : name.toLowerCase();
  return [doubled, lacking, otherCase].map((each) => [...parent, each]);
}

function exampleOf({ type, enum: words, minimum }: Schema): unknown {
  if (words !== undefined) return words[0];
  if (type === undefined) return 'x';
  switch (type) {
    case 'object':
      return {};
    case 'array':
      return [];
    case 'integer':
      return minimum ?? 1;
    case 'boolean':
      return true;
    case 'string':
      return 'x';
  }
}

function wrongTypes({ type, enum: words, minimum, maximum, pattern }: Schema): readonly unknown[] {
  if (words !== undefined) return ['no-such-word', 7];
  if (type === undefined) return [];
  switch (type) {
    case 'object':
      return ['text', [1]];
    case 'array':
      return [{ a: 1 }, 'text'];
    case 'integer':
      return [
        '12',
        1.5,
        ...(minimum === undefined ? [] : [minimum - 1]),
        ...(maximum === undefined ? [] : [maximum + 1]),
      ];
    case 'boolean':
      return ['true', 1];
    case 'string':
      return [7, { a: 1 }, ...(pattern === undefined ? [] : ['not so\n'])];
  }
}

function mistake(what: string, path: readonly string[], value: unknown): Mistake {
  const values = path.reduceRight<unknown>((inner, name) => ({ [name]: inner }), value) as Values;
  return { what, path, values };
}
