import type { z } from 'zod';
import { ServiceError } from '../errors/service-error.ts';

/**
 * Checks the environment against a schema of variable names. Pure; all problems at once.
 * Throws CONFIG_INVALID with a violation per variable: its name and the rule, never its value.
 */
export function parseEnvironment<Schema extends z.ZodObject>(
  service: string,
  schema: Schema,
  env: Readonly<Record<string, string | undefined>>,
): z.output<Schema> {
  const parsed = schema.safeParse(env);
  if (parsed.success) return parsed.data;
  const violations = parsed.error.issues.map((issue) => ({
    field: issue.path.join('.'),
    description: env[issue.path.join('.')] === undefined ? 'must be set' : issue.message,
  }));
  const list = violations.map(({ field, description }) => `${field}: ${description}`).join('; ');
  const message = `Correct these settings of ${service}: ${list}`;
  throw new ServiceError('CONFIG_INVALID', message, { violations });
}
