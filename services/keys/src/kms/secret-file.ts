import { readFile } from 'node:fs/promises';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';

/** What a file holds, without blanks around it. Throws KMS_ACCESS_DENIED with the path and what should lie there. */
export async function readSecretFile(path: string, what: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    const message = `The file ${path} with the ${what} cannot be read.`;
    throw new ServiceError('KMS_ACCESS_DENIED', message, { cause });
  });
  const secret = text.trim();
  if (secret !== '') return secret;
  throw new ServiceError('KMS_ACCESS_DENIED', `The file ${path} with the ${what} is empty.`);
}
