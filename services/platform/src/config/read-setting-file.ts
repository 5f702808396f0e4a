import { readFileSync } from 'node:fs';
import { ServiceError } from '../errors/service-error.ts';

/** What the file that a variable names holds. Throws CONFIG_INVALID, which names the variable. */
export function readSettingFile(variable: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const description = 'names a file that cannot be read';
    throw new ServiceError('CONFIG_INVALID', `${variable}: ${description}`, {
      cause,
      violations: [{ field: variable, description }],
    });
  }
}
