import { parseEnvironment } from '@lethe/platform/config/parse-environment.ts';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import { z } from 'zod';
import { isSafeAddress, safeAddressRule } from './safe-address.ts';

/** Files with an access key of AWS; read again every few minutes, so that what lies in them may be replaced. */
export interface AwsAccessKeyFiles {
  readonly accessKeyIdFile: string;
  readonly secretAccessKeyFile: string;
  /** Of temporary credentials. */
  readonly sessionTokenFile: string | undefined;
}

export interface AwsKmsConfig {
  readonly region: string;
  /** `https://host[:port]` of a VPC endpoint; undefined for AWS's own of the region. */
  readonly endpoint: string | undefined;
  /** Keys are known by their aliases, `alias/<prefix>/<tenant>/<version>`. */
  readonly aliasPrefix: string;
  /** How long AWS keeps a key that is to be deleted: closed at once, destroyed after it. AWS allows 7 to 30 days. */
  readonly pendingWindowDays: number;
  /** Undefined: where the AWS SDK finds them, such as the role of a pod, a container or an instance. */
  readonly accessKey: AwsAccessKeyFiles | undefined;
  /** How long one attempt of a request may take, milliseconds; there are at most three. */
  readonly timeoutMs: number;
}

const file = z.string().startsWith('/', 'must be an absolute path');

/** The variables, with their meaning. */
export const awsSchema = z.object({
  LETHE_KEYS_AWS_REGION: z
    .string()
    .regex(/^[a-z]{2}(-[a-z]+)+-\d$/, 'must be such as eu-central-1')
    .describe('AWS KMS: the region of the keys.'),
  LETHE_KEYS_AWS_ENDPOINT: z
    .string()
    .refine(isSafeAddress, { message: safeAddressRule })
    .optional()
    .describe(
      "AWS KMS: https://host[:port] of a VPC endpoint; AWS's own of the region by default.",
    ),
  LETHE_KEYS_AWS_ALIAS_PREFIX: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,31}$/, 'must be 1 to 32 lower-case letters, digits and hyphens')
    .refine((prefix) => prefix !== 'aws', 'must not be aws, which is reserved')
    .default('lethe')
    .describe('AWS KMS: keys are named alias/<prefix>/<tenant>/<version>.'),
  LETHE_KEYS_AWS_PENDING_WINDOW_DAYS: z.coerce
    .number()
    .int()
    .min(7)
    .max(30)
    .default(7)
    .describe('AWS KMS: how long AWS keeps a key that was closed for ever before it destroys it.'),
  LETHE_KEYS_AWS_ACCESS_KEY_ID_FILE: file
    .optional()
    .describe(
      'AWS KMS: a file with an access key id; without it the SDK finds the role by itself.',
    ),
  LETHE_KEYS_AWS_SECRET_ACCESS_KEY_FILE: file
    .optional()
    .describe('AWS KMS: a file with the secret access key.'),
  LETHE_KEYS_AWS_SESSION_TOKEN_FILE: file
    .optional()
    .describe('AWS KMS: a file with the session token of temporary credentials.'),
  LETHE_KEYS_AWS_TIMEOUT_MS: z.coerce
    .number()
    .int()
    .min(100)
    .max(30_000)
    .default(3_000)
    .describe('AWS KMS: how long one attempt of a request may take, milliseconds.'),
});

/** Pure. Throws CONFIG_INVALID with every broken setting. */
export function parseAwsKmsConfig(env: Readonly<Record<string, string | undefined>>): AwsKmsConfig {
  const parsed = parseEnvironment('keys', awsSchema, env);
  const endpoint = parsed.LETHE_KEYS_AWS_ENDPOINT;
  return Object.freeze({
    region: parsed.LETHE_KEYS_AWS_REGION,
    endpoint: endpoint === undefined ? undefined : new URL(endpoint).origin,
    aliasPrefix: parsed.LETHE_KEYS_AWS_ALIAS_PREFIX,
    pendingWindowDays: parsed.LETHE_KEYS_AWS_PENDING_WINDOW_DAYS,
    accessKey: accessKeyOf(parsed),
    timeoutMs: parsed.LETHE_KEYS_AWS_TIMEOUT_MS,
  });
}

function accessKeyOf(parsed: z.output<typeof awsSchema>): AwsAccessKeyFiles | undefined {
  const accessKeyIdFile = parsed.LETHE_KEYS_AWS_ACCESS_KEY_ID_FILE;
  const secretAccessKeyFile = parsed.LETHE_KEYS_AWS_SECRET_ACCESS_KEY_FILE;
  const sessionTokenFile = parsed.LETHE_KEYS_AWS_SESSION_TOKEN_FILE;
  if (accessKeyIdFile !== undefined && secretAccessKeyFile !== undefined) {
    return Object.freeze({ accessKeyIdFile, secretAccessKeyFile, sessionTokenFile });
  }
  const given = [accessKeyIdFile, secretAccessKeyFile, sessionTokenFile];
  if (given.every((path) => path === undefined)) return undefined;
  const violations = [
    ['LETHE_KEYS_AWS_ACCESS_KEY_ID_FILE', accessKeyIdFile] as const,
    ['LETHE_KEYS_AWS_SECRET_ACCESS_KEY_FILE', secretAccessKeyFile] as const,
  ]
    .filter(([, path]) => path === undefined)
    .map(([field]) => ({ field, description: 'must be set beside the other files' }));
  const list = violations.map(({ field, description }) => `${field}: ${description}`).join('; ');
  const message = `Correct these settings of keys: ${list}`;
  throw new ServiceError('CONFIG_INVALID', message, { violations });
}
