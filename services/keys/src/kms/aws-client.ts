import type * as AwsSdkModule from '@aws-sdk/client-kms';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { Clock } from '@lethe/platform/lifecycle/clock.ts';
import type { AwsAccessKeyFiles, AwsKmsConfig } from './aws-kms-config.ts';
import { readSecretFile } from './secret-file.ts';

/** The SDK's module; of its commands those that the port needs. */
export type AwsSdk = typeof AwsSdkModule;

export interface AwsClient {
  readonly sdk: AwsSdk;
  readonly client: AwsSdkModule.KMSClient;
}

/** Of a request, the first included; the SDK waits a growing, random time in between. */
const attemptsMax = 3;
/** How long what was read from the files is used. The SDK asks anew five minutes before credentials end. */
const credentialsLastMs = 10 * 60_000;

/**
 * A client of AWS KMS. The SDK is loaded here and not before: an installation with another KMS goes without it.
 * Throws KMS_MISCONFIGURED where it is not installed.
 */
export async function createAwsClient(config: AwsKmsConfig, clock: Clock): Promise<AwsClient> {
  const sdk = await loadSdk();
  const { region, endpoint, accessKey, timeoutMs } = config;
  const settings: AwsSdkModule.KMSClientConfig = {
    region,
    maxAttempts: attemptsMax,
    retryMode: 'standard',
    requestHandler: {
      connectionTimeout: timeoutMs,
      requestTimeout: timeoutMs,
      throwOnRequestTimeout: true,
    },
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(accessKey === undefined ? {} : { credentials: () => readAccessKey(accessKey, clock) }),
  };
  return { sdk, client: new sdk.KMSClient(settings) };
}

async function loadSdk(): Promise<AwsSdk> {
  try {
    return await import('@aws-sdk/client-kms');
  } catch (error) {
    throw new ServiceError(
      'KMS_MISCONFIGURED',
      'The client of AWS KMS is not installed here: use an image with the optional dependency @aws-sdk/client-kms.',
      { cause: error },
    );
  }
}

async function readAccessKey(files: AwsAccessKeyFiles, clock: Clock) {
  const { accessKeyIdFile, secretAccessKeyFile, sessionTokenFile } = files;
  return {
    accessKeyId: await readSecretFile(accessKeyIdFile, 'AWS access key id'),
    secretAccessKey: await readSecretFile(secretAccessKeyFile, 'AWS secret access key'),
    ...(sessionTokenFile === undefined
      ? {}
      : { sessionToken: await readSecretFile(sessionTokenFile, 'AWS session token') }),
    expiration: new Date(clock.nowMs() + credentialsLastMs),
  };
}
