import { readFile } from 'node:fs/promises';
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  importSPKI,
  type JSONWebKeySet,
  type JWTVerifyGetKey,
} from 'jose';
import { ServiceError } from '../errors/service-error.ts';
import { failureFields } from '../errors/failure.ts';
import type { Clock } from '../lifecycle/clock.ts';
import type { Logger } from '../log/logger.ts';
import type { TokenConfig } from './token-config.ts';

export interface TokenKeysPorts {
  readonly clock: Clock;
  readonly logger: Logger;
}

/** How long a file is used before it is looked at again. */
const lookEveryMs = 10_000;
/** Of a JWKS that is asked for by URL. */
const jwksTimeoutMs = 5_000;

/**
 * Finds the issuer's key for a token. A file is read at once and again when it has changed, one that became wrong leaves
 * the keys as they were; a URL is asked at the first token and when a token names a key that is not known.
 * Throws CONFIG_INVALID for a file that is wrong at the start.
 */
export async function openTokenKeys(
  { keys, algorithms }: TokenConfig,
  ports: TokenKeysPorts,
): Promise<JWTVerifyGetKey> {
  switch (keys.kind) {
    case 'jwks-url':
      return createRemoteJWKSet(keys.url, { timeoutDuration: jwksTimeoutMs });
    case 'jwks-file':
      return await openFile(keys.file, ports, async (text) =>
        createLocalJWKSet(JSON.parse(text) as JSONWebKeySet),
      );
    case 'public-key-file':
      return await openFile(keys.file, ports, async (text) => {
        const publicKey = await importSPKI(text, algorithms[0] ?? '');
        return async () => publicKey;
      });
  }
}

async function openFile(
  file: string,
  { clock, logger }: TokenKeysPorts,
  parse: (text: string) => Promise<JWTVerifyGetKey>,
): Promise<JWTVerifyGetKey> {
  const read = async () => {
    try {
      return await parse(await readFile(file, 'utf8'));
    } catch (cause) {
      const message = `The file ${file} holds no public keys of an issuer.`;
      throw new ServiceError('CONFIG_INVALID', message, { cause });
    }
  };
  let current = await read();
  let lookedMs = clock.monotonicMs();
  const look = async () => {
    lookedMs = clock.monotonicMs();
    try {
      current = await read();
    } catch (error) {
      logger.error({ component: 'tokens', ...failureFields(error), address: file }, 'keys stay');
    }
  };
  return async (header, token) => {
    if (clock.monotonicMs() - lookedMs >= lookEveryMs) await look();
    return await current(header, token);
  };
}
