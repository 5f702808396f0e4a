import type { z } from 'zod';

/** One variable, as `--help` and docs/operators/configuration.md tell of it. */
export interface SettingDescription {
  readonly name: string;
  readonly meaning: string;
  /** As it would be written; undefined when there is none. */
  readonly fallback: string | undefined;
  readonly isRequired: boolean;
}

/**
 * The variables of a schema, in its order: their meaning is what `describe` says there, so that the table of settings
 * and the rules by which they are read are one.
 */
export function describeSettings(schema: z.ZodObject): readonly SettingDescription[] {
  return Object.entries(schema.shape).map(([name, rule]) => {
    const absent = (rule as z.ZodType).safeParse(undefined);
    const fallback: unknown = absent.success ? absent.data : undefined;
    return {
      name,
      meaning: (rule as z.ZodType).description ?? '',
      fallback: fallback === undefined ? undefined : textOf(fallback),
      isRequired: !absent.success,
    };
  });
}

/** A text as it is, anything else as JSON has it: numbers and booleans. */
function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** Each with its meaning and default, a paragraph a variable. */
export function settingsText(settings: readonly SettingDescription[]): string {
  return settings
    .map(({ name, meaning, fallback, isRequired }) => {
      const state = isRequired ? 'required' : fallback === undefined ? '' : `default ${fallback}`;
      return `  ${name}${state === '' ? '' : `  (${state})`}\n      ${meaning}\n`;
    })
    .join('');
}

/** What is set, one variable a line, for a person to compare: passwords within URLs are left out. */
export function summaryText(
  settings: readonly SettingDescription[],
  env: Readonly<Record<string, string | undefined>>,
): string {
  const isSet = settings.filter(({ name }) => env[name] !== undefined);
  return isSet.map(({ name }) => `  ${name}=${withoutPassword(env[name] ?? '')}\n`).join('');
}

function withoutPassword(value: string): string {
  return value.replaceAll(/(:\/\/[^:/@\s]*):[^@\s]*@/g, '$1:[secret]@');
}

/** Variables with our prefix that no setting has: perhaps a mistake of writing. */
export function unknownSettings(
  settings: readonly SettingDescription[],
  env: Readonly<Record<string, string | undefined>>,
): readonly string[] {
  const known = new Set(settings.map(({ name }) => name));
  return Object.keys(env)
    .filter((name) => name.startsWith('LETHE_') && !known.has(name))
    .toSorted();
}
