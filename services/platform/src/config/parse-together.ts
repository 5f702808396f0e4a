import { type FieldViolation, ServiceError } from '../errors/service-error.ts';

/**
 * Runs the parsers of a process's settings, so that all problems of all of them are told at once. Throws CONFIG_INVALID
 * with every violation; an error of another kind is a defect and passes.
 */
export function parseTogether<Parts extends Record<string, () => unknown>>(
  service: string,
  parts: Parts,
): { readonly [Name in keyof Parts]: ReturnType<Parts[Name]> } {
  const violations: FieldViolation[] = [];
  const parsed = Object.entries(parts).map(([name, parse]) => {
    try {
      return [name, parse()];
    } catch (error) {
      violations.push(...violationsOf(error, name));
      return [name, undefined];
    }
  });
  if (violations.length > 0) throw configInvalid(service, violations);
  return Object.freeze(Object.fromEntries(parsed)) as {
    readonly [Name in keyof Parts]: ReturnType<Parts[Name]>;
  };
}

/** Names variables and rules, never values. */
export function configInvalid(
  service: string,
  violations: readonly FieldViolation[],
): ServiceError {
  const list = violations.map(({ field, description }) => `${field}: ${description}`).join('; ');
  const message = `Correct these settings of ${service}: ${list}`;
  return new ServiceError('CONFIG_INVALID', message, { violations });
}

function violationsOf(error: unknown, part: string): readonly FieldViolation[] {
  if (!(error instanceof ServiceError) || error.reason !== 'CONFIG_INVALID') throw error;
  if (error.violations.length > 0) return error.violations;
  return [{ field: part, description: error.message }];
}
