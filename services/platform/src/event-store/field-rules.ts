import type { Problems } from '../grpc/parse-request.ts';

/** `previousStatus` as the proto says it: `previous_status`. */
export function protoName(fieldName: string): string {
  return fieldName.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** A generated enum object. */
type EnumObject = Readonly<Record<string, string | number>>;

interface EnumRule {
  readonly kind: 'enum';
  readonly values: ReadonlySet<unknown>;
  readonly required: boolean;
}

interface NumberRule {
  readonly kind: 'number';
  readonly min: number;
  readonly max: number;
}

/** What a field of facts must keep. */
export type FieldRule = EnumRule | NumberRule;

function enumRule(values: EnumObject, required: boolean): EnumRule {
  const known = Object.values(values).filter((value) => value !== -1);
  return { kind: 'enum', values: new Set(known), required };
}

/** Any value of the enum that this server knows, except zero. */
export function required(values: EnumObject): FieldRule {
  return enumRule(values, true);
}

/** Any value of the enum that this server knows; zero says that nothing is known. */
export function optional(values: EnumObject): FieldRule {
  return enumRule(values, false);
}

/** A number from `min` to `max`. */
export function between(min: number, max: number): FieldRule {
  return { kind: 'number', min, max };
}

/** The fields of facts that are enums, single or repeated: a generated enum is a union of number literals. */
type EnumFields<Facts> = {
  [Field in keyof Facts]-?: NonNullable<Facts[Field]> extends infer Value
    ? (Value extends readonly (infer Element)[] ? Element : Value) extends infer Single
      ? Single extends number
        ? number extends Single
          ? never
          : Field
        : never
      : never
    : never;
}[keyof Facts];

/** A rule for every enum field of the facts (the compiler sees to it), and for numbers that have bounds. */
export type FactsRules<Facts> = { readonly [Field in EnumFields<Facts>]: FieldRule } & {
  readonly [Field in keyof Facts]?: FieldRule;
};

/** Holds the facts against their rules; `path` is that of the facts. */
export function checkFacts(
  facts: object,
  rules: Readonly<Record<string, FieldRule | undefined>>,
  path: string,
  problems: Problems,
): void {
  for (const [name, rule] of Object.entries(rules)) {
    const value: unknown = Reflect.get(facts, name);
    const broken = rule === undefined ? undefined : brokenRule(value, rule);
    if (broken !== undefined) problems.add(`${path}.${protoName(name)}`, broken);
  }
}

function brokenRule(value: unknown, rule: FieldRule): string | undefined {
  if (rule.kind === 'number') {
    const isWithin =
      value === undefined || (Number(value) >= rule.min && Number(value) <= rule.max);
    return isWithin ? undefined : `must lie between ${rule.min} and ${rule.max}`;
  }
  const values: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (values.some((single) => !rule.values.has(single))) return 'is no value of its enum';
  return rule.required && values.some((single) => single === 0) ? 'is required' : undefined;
}
