import type { JWK } from 'jose';
import { z } from 'zod';
import { parseEnvironment } from '@lethe/platform/config/parse-environment.ts';
import { configInvalid } from '@lethe/platform/config/parse-together.ts';
import { readSettingFile } from '@lethe/platform/config/read-setting-file.ts';
import { parseJson } from '@lethe/platform/files/parse-json.ts';

/** The variables, with their meaning. */
export const signingKeySettings = z.object({
  LETHE_PRIVACY_SIGNING_KEY_FILE: z
    .string()
    .min(1)
    .describe('The Ed25519 private key that signs certificates, as a JWK.'),
});

const privateJwk = z.looseObject({
  kty: z.literal('OKP'),
  crv: z.literal('Ed25519'),
  d: z.string().min(1),
  x: z.string().min(1),
});

/** The key that signs certificates. Throws CONFIG_INVALID, which never quotes the file. */
export function readSigningKey(env: Readonly<Record<string, string | undefined>>): JWK {
  const read = parseEnvironment('privacy', signingKeySettings, env);
  const field = 'LETHE_PRIVACY_SIGNING_KEY_FILE';
  const parsed = privateJwk.safeParse(
    parseJson(readSettingFile(field, read.LETHE_PRIVACY_SIGNING_KEY_FILE)),
  );
  if (parsed.success) return parsed.data;
  const description = 'must name a file with an Ed25519 private key as a JWK';
  throw configInvalid('privacy', [{ field, description }]);
}
