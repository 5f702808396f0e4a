/** JSON Schema of values as plain data: what values.yaml, values.schema.json and the README are written from. */

export type Json =
  string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };

/** One value: its schema and what it is unless somebody says otherwise. */
export interface Value {
  readonly kind: 'value';
  readonly description: string;
  readonly schema: { readonly [name: string]: Json };
  /** Undefined: absent from values.yaml. */
  readonly fallback: Json | undefined;
}

/** Values that belong together; no other keys are taken. */
export interface Group {
  readonly kind: 'group';
  readonly description: string;
  readonly members: { readonly [name: string]: Value | Group };
}

export function group(description: string, members: Group['members']): Group {
  return { kind: 'group', description, members };
}

function value(description: string, schema: Value['schema'], fallback: Json | undefined): Value {
  return { kind: 'value', description, schema, fallback };
}

export function text(description: string, fallback: string, schema: Value['schema'] = {}): Value {
  return value(description, { type: 'string', ...schema }, fallback);
}

/** Text that may be left empty until it is needed; templates say when it is. */
export function optionalText(description: string, pattern: string): Value {
  return text(description, '', { pattern: `^(${pattern})?$` });
}

export function flag(description: string, fallback: boolean): Value {
  return value(description, { type: 'boolean' }, fallback);
}

export function whole(description: string, fallback: number, min: number, max: number): Value {
  return value(description, { type: 'integer', minimum: min, maximum: max }, fallback);
}

export function oneOf(description: string, fallback: string, words: readonly string[]): Value {
  return value(description, { type: 'string', enum: words }, fallback);
}

export function list(
  description: string,
  items: Value['schema'],
  fallback: readonly Json[] = [],
  schema: Value['schema'] = {},
): Value {
  return value(description, { type: 'array', items, ...schema }, fallback);
}

/** A map with free keys. */
export function textMap(description: string): Value {
  return value(description, { type: 'object', additionalProperties: { type: 'string' } }, {});
}

/** Labels beside those of the chart, which nobody may set again: a key of YAML stands once. */
export function labelMap(description: string): Value {
  return value(
    description,
    {
      type: 'object',
      additionalProperties: { type: 'string' },
      propertyNames: {
        not: {
          pattern:
            '^(app\\.kubernetes\\.io/(name|instance|component|part-of|version|managed-by)|helm\\.sh/chart)$',
        },
      },
    },
    {},
  );
}

/** A map whose keys are known, and none of which need be there. */
export function optionalMembers(
  description: string,
  properties: { readonly [name: string]: Value['schema'] },
): Value {
  return value(description, { type: 'object', additionalProperties: false, properties }, {});
}

/** Settings of one kind for each of several names. */
export function forEachName(
  description: string,
  names: readonly string[],
  make: (name: string) => Value | Group,
): Group {
  return group(description, Object.fromEntries(names.map((name) => [name, make(name)])));
}

/** The JSON Schema of a group. */
export function schemaOf(part: Value | Group): Json {
  if (part.kind === 'value') return { description: part.description, ...part.schema };
  const members = Object.entries(part.members);
  return {
    description: part.description,
    type: 'object',
    additionalProperties: false,
    properties: Object.fromEntries(members.map(([name, member]) => [name, schemaOf(member)])),
  };
}

/** Every single value with its path, such as `kafka.brokers`. */
export function* valuesOf(
  part: Group,
  path: readonly string[] = [],
): Generator<readonly [path: readonly string[], value: Value]> {
  for (const [name, member] of Object.entries(part.members)) {
    if (member.kind === 'value') yield [[...path, name], member];
    else yield* valuesOf(member, [...path, name]);
  }
}
