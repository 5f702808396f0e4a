import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { TenantId } from '@lethe/platform/ids/ids.ts';
import type { AwsClient } from './aws-client.ts';
import { awsError, awsNameOf } from './aws-error.ts';
import type { AwsKmsConfig } from './aws-kms-config.ts';

/** A version of a tenant's key: a KMS key of its own, whose alias carries the number. */
export interface AwsVersion {
  readonly version: number;
  readonly keyId: string;
}

/** What AWS says of a key. */
export interface AwsKey {
  /** `Enabled`, `Disabled`, `PendingDeletion`, … */
  readonly state: string;
  /** Whether it is as `create` makes keys: its material was made in AWS and lies in one region only. */
  readonly isSuitable: boolean;
}

export type AwsDecrypted =
  | { readonly kind: 'plaintext'; readonly plaintext: Buffer }
  /** These bytes are none of that key's for this tenant. */
  | { readonly kind: 'refused' }
  | { readonly kind: 'key-unknown' }
  /** It is there and may not be used: to be deleted, or not ready. */
  | { readonly kind: 'key-unusable' };

/**
 * The calls to AWS KMS that the port needs. AWS tells of what was just made or deleted a moment later and not
 * everywhere at once; what that means is the caller's to know.
 */
export interface AwsKeys {
  /** Asks for next to nothing. */
  check(): Promise<void>;
  /** In rising order; reads the account's whole list of aliases. */
  versions(tenantId: TenantId): Promise<readonly AwsVersion[]>;
  create(tenantId: TenantId): Promise<string>;
  /** `key-unknown`: AWS does not know its own new key everywhere yet. */
  name(tenantId: TenantId, named: AwsVersion): Promise<'named' | 'taken' | 'key-unknown'>;
  /** Undefined when there is none. */
  describe(keyId: string): Promise<AwsKey | undefined>;
  /** Which key a version's alias names; undefined when there is no such alias. */
  keyIdOf(tenantId: TenantId, version: number): Promise<string | undefined>;
  /** Undefined while AWS does not know the key. */
  encrypt(
    tenantId: TenantId,
    keyId: string,
    plaintext: Uint8Array,
  ): Promise<Uint8Array | undefined>;
  decrypt(tenantId: TenantId, keyId: string, blob: Uint8Array): Promise<AwsDecrypted>;
  /** From now on the key does nothing; after the pending window it is gone. Idempotent. */
  scheduleDeletion(keyId: string): Promise<'scheduled' | 'key-unknown'>;
  /** Idempotent. */
  unname(tenantId: TenantId, version: number): Promise<void>;
}

const listPage = 100;

export function createAwsKeys(aws: AwsClient, config: AwsKmsConfig): AwsKeys {
  return { ...namingCalls(aws, config), ...usingCalls(aws), ...deletingCalls(aws, config) };
}

type Naming = 'check' | 'versions' | 'create' | 'name' | 'keyIdOf';

function namingCalls({ sdk, client }: AwsClient, config: AwsKmsConfig): Pick<AwsKeys, Naming> {
  return {
    check: async () => {
      await answered('ListAliases', () => client.send(new sdk.ListAliasesCommand({ Limit: 1 })));
    },
    versions: async (tenantId) => {
      const folder = folderOf(config, tenantId);
      const found: AwsVersion[] = [];
      let marker: string | undefined;
      do {
        const request = { Limit: listPage, Marker: marker };
        const page = await answered('ListAliases', () =>
          client.send(new sdk.ListAliasesCommand(request)),
        );
        for (const { AliasName, TargetKeyId } of page.Aliases ?? []) {
          const version = versionOf(AliasName, folder);
          if (version === undefined || TargetKeyId === undefined) continue;
          found.push({ version, keyId: TargetKeyId });
        }
        marker = page.Truncated === true ? page.NextMarker : undefined;
      } while (marker !== undefined);
      return found.toSorted((one, other) => one.version - other.version);
    },
    create: async (tenantId) => {
      const request = {
        Description: `Lethe: wraps tenant keys of ${tenantId}`,
        Tags: [
          { TagKey: 'lethe:purpose', TagValue: 'tenant-key' },
          { TagKey: 'lethe:tenant', TagValue: tenantId },
        ],
      };
      const { KeyMetadata } = await answered('CreateKey', () =>
        client.send(new sdk.CreateKeyCommand(request)),
      );
      return required(KeyMetadata?.KeyId, 'CreateKey');
    },
    name: async (tenantId, { version, keyId }) => {
      const request = { AliasName: `${folderOf(config, tenantId)}${version}`, TargetKeyId: keyId };
      const named = await attempt(
        'CreateAlias',
        () => client.send(new sdk.CreateAliasCommand(request)),
        ['AlreadyExistsException', 'NotFoundException'],
      );
      if (named.kind === 'answered') return 'named';
      return named.name === 'NotFoundException' ? 'key-unknown' : 'taken';
    },
    keyIdOf: async (tenantId, version) =>
      (await metadataOf({ sdk, client }, `${folderOf(config, tenantId)}${version}`))?.KeyId,
  };
}

function usingCalls({ sdk, client }: AwsClient): Pick<AwsKeys, 'describe' | 'encrypt' | 'decrypt'> {
  return {
    describe: async (keyId) => {
      const metadata = await metadataOf({ sdk, client }, keyId);
      if (metadata === undefined) return undefined;
      const isSuitable =
        metadata.KeySpec === 'SYMMETRIC_DEFAULT' &&
        metadata.KeyUsage === 'ENCRYPT_DECRYPT' &&
        metadata.Origin === 'AWS_KMS' &&
        metadata.MultiRegion !== true;
      return { state: required(metadata.KeyState, 'DescribeKey'), isSuitable };
    },
    encrypt: async (tenantId, keyId, plaintext) => {
      const request = { KeyId: keyId, Plaintext: plaintext, ...bindingOf(tenantId) };
      const encrypted = await attempt(
        'Encrypt',
        () => client.send(new sdk.EncryptCommand(request)),
        ['NotFoundException'],
      );
      if (encrypted.kind === 'failed') return undefined;
      return required(encrypted.answer.CiphertextBlob, 'Encrypt');
    },
    decrypt: async (tenantId, keyId, blob) => {
      const request = { KeyId: keyId, CiphertextBlob: blob, ...bindingOf(tenantId) };
      const decrypted = await attempt(
        'Decrypt',
        () => client.send(new sdk.DecryptCommand(request)),
        [
          'IncorrectKeyException',
          'InvalidCiphertextException',
          'KMSInvalidStateException',
          'NotFoundException',
        ],
      );
      if (decrypted.kind === 'answered') {
        const plaintext = Buffer.from(required(decrypted.answer.Plaintext, 'Decrypt'));
        return { kind: 'plaintext', plaintext };
      }
      if (decrypted.name === 'NotFoundException') return { kind: 'key-unknown' };
      if (decrypted.name === 'KMSInvalidStateException') return { kind: 'key-unusable' };
      return { kind: 'refused' };
    },
  };
}

function deletingCalls(
  { sdk, client }: AwsClient,
  config: AwsKmsConfig,
): Pick<AwsKeys, 'scheduleDeletion' | 'unname'> {
  return {
    scheduleDeletion: async (keyId) => {
      const request = { KeyId: keyId, PendingWindowInDays: config.pendingWindowDays };
      const scheduled = await attempt(
        'ScheduleKeyDeletion',
        () => client.send(new sdk.ScheduleKeyDeletionCommand(request)),
        ['KMSInvalidStateException', 'NotFoundException'],
      );
      if (scheduled.kind === 'answered') return 'scheduled';
      const state = (await metadataOf({ sdk, client }, keyId))?.KeyState;
      if (state === undefined) return 'key-unknown';
      // A repeat after a crash.
      if (state === 'PendingDeletion') return 'scheduled';
      const message = `AWS KMS cannot delete the key ${keyId} in state ${state}.`;
      throw new ServiceError('KMS_UNAVAILABLE', message);
    },
    unname: async (tenantId, version) => {
      const request = { AliasName: `${folderOf(config, tenantId)}${version}` };
      const send = () => client.send(new sdk.DeleteAliasCommand(request));
      await attempt('DeleteAlias', send, ['NotFoundException']);
    },
  };
}

/** By key id or alias. */
async function metadataOf({ sdk, client }: AwsClient, name: string) {
  const described = await attempt(
    'DescribeKey',
    () => client.send(new sdk.DescribeKeyCommand({ KeyId: name })),
    ['NotFoundException'],
  );
  return described.kind === 'failed' ? undefined : described.answer.KeyMetadata;
}

function folderOf({ aliasPrefix }: AwsKmsConfig, tenantId: TenantId): string {
  return `alias/${aliasPrefix}/${tenantId}/`;
}

/** Opens under the same context alone. AWS logs it in the clear (CloudTrail): nothing but the tenant's id. */
function bindingOf(tenantId: TenantId) {
  return { EncryptionContext: { 'lethe:tenant': tenantId } };
}

function versionOf(alias: string | undefined, folder: string): number | undefined {
  if (alias === undefined || !alias.startsWith(folder)) return undefined;
  const number = alias.slice(folder.length);
  return /^[1-9]\d{0,8}$/.test(number) ? Number(number) : undefined;
}

type Attempted<Answer> =
  | { readonly kind: 'answered'; readonly answer: Answer }
  | { readonly kind: 'failed'; readonly name: string };

/** `expected` are AWS's names of failures that mean something to the caller. Throws `awsError` for the others. */
async function attempt<Answer>(
  operation: string,
  send: () => Promise<Answer>,
  expected: readonly string[],
): Promise<Attempted<Answer>> {
  try {
    return { kind: 'answered', answer: await send() };
  } catch (error) {
    const name = awsNameOf(error);
    if (name !== undefined && expected.includes(name)) return { kind: 'failed', name };
    throw awsError(error, operation);
  }
}

async function answered<Answer>(operation: string, send: () => Promise<Answer>): Promise<Answer> {
  const attempted = await attempt(operation, send, []);
  if (attempted.kind === 'answered') return attempted.answer;
  throw new ServiceError('INTERNAL_DEFECT', `${operation} expects no failure`);
}

function required<Value>(value: Value | undefined, operation: string): Value {
  if (value !== undefined) return value;
  throw new ServiceError('KMS_MISCONFIGURED', `What answers ${operation} is not AWS KMS.`);
}
