import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { Clock } from '@lethe/platform/lifecycle/clock.ts';
import type { Logger } from '@lethe/platform/log/logger.ts';
import { awsSchema } from './aws-kms-config.ts';
import { openAwsKms } from './aws-kms.ts';
import { kindSchema, type KmsConfig, parseKmsConfig, vaultSchema } from './kms-config.ts';
import type { Kms } from './port.ts';
import { openVaultKms } from './vault-kms.ts';

/** The variables, with their meaning. */
export const kmsSettings = [kindSchema, vaultSchema, awsSchema] as const;

/** A KMS of its own; the keyring file is for the one process that holds all services. */
export type ServerKmsConfig = Exclude<KmsConfig, { readonly kind: 'keyring' }>;

export interface ServerKmsPorts {
  readonly clock: Clock;
  readonly logger: Logger;
}

/** A KMS that holds a login or connections, so that it has an end. */
export interface ServerKms extends Kms {
  /** Set while its login cannot be kept alive. */
  problem(): string | undefined;
  /** No call may follow. Idempotent. */
  close(): Promise<void>;
}

/** Pure. Throws CONFIG_INVALID with every broken setting, and for the keyring. */
export function parseServerKmsConfig(
  env: Readonly<Record<string, string | undefined>>,
): ServerKmsConfig {
  const config = parseKmsConfig(env);
  if (config.kind !== 'keyring') return config;
  const description =
    'must be vault or aws: the keyring file is for the one process that holds all services';
  throw new ServiceError(
    'CONFIG_INVALID',
    `Correct these settings of keys: LETHE_KEYS_KMS: ${description}`,
    { violations: [{ field: 'LETHE_KEYS_KMS', description }] },
  );
}

/** Throws KMS_ACCESS_DENIED and KMS_MISCONFIGURED, saying what to correct. */
export async function openKms(config: ServerKmsConfig, ports: ServerKmsPorts): Promise<ServerKms> {
  const { clock, logger } = ports;
  switch (config.kind) {
    case 'vault':
      return await openVaultKms(config.vault, { clock, logger });
    case 'aws':
      return await openAwsKms(config.aws, { clock, logger });
  }
}
