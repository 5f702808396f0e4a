import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { TenantId } from '@lethe/platform/ids/ids.ts';
import { z } from 'zod';
import type { VaultAnswer } from './vault-http.ts';
import type { VaultSession } from './vault-session.ts';

/** What Transit says of a tenant's key. */
export interface TransitKey {
  /** Whether it is as `create` makes keys; a key that somebody else made may be of another kind, or exportable. */
  readonly isSuitable: boolean;
  readonly latestVersion: number;
  readonly minDecryptionVersion: number;
  readonly minEncryptionVersion: number;
  /** Below it every version is destroyed; 0 before the first trim. */
  readonly minAvailableVersion: number;
}

/** The calls to Transit that the KMS port needs, each for the key of one tenant. */
export interface VaultTransit {
  /** Whether `encrypt` makes keys that do not exist. */
  mayUpsert(): Promise<boolean>;
  /** Undefined when there is none. */
  find(tenantId: TenantId): Promise<TransitKey | undefined>;
  /** Makes the key; one that exists stays as it is. */
  create(tenantId: TenantId): Promise<TransitKey>;
  /** Adds a version. */
  rotate(tenantId: TenantId): Promise<TransitKey>;
  encrypt(tenantId: TenantId, plaintext: Uint8Array): Promise<string>;
  /** Undefined when Transit refuses the ciphertext, or has no such key. */
  decrypt(tenantId: TenantId, ciphertext: string): Promise<Buffer | undefined>;
  configure(tenantId: TenantId, settings: Readonly<Record<string, unknown>>): Promise<void>;
  /** Destroys versions; both minimums must have been raised before. */
  trim(tenantId: TenantId, minAvailableVersion: number): Promise<void>;
  /** Answers whether it was deleted; `deletion_allowed` must have been set before. */
  delete(tenantId: TenantId): Promise<boolean>;
}

export interface VaultTransitOptions {
  readonly session: VaultSession;
  readonly mount: string;
  readonly keyPrefix: string;
}

/** Derived: what is encrypted under one context does not open under another. */
const creation = { type: 'aes256-gcm96', derived: true, exportable: false };

const keySchema = z.object({
  data: z.object({
    type: z.string(),
    derived: z.boolean(),
    exportable: z.boolean(),
    allow_plaintext_backup: z.boolean(),
    latest_version: z.int().positive(),
    min_decryption_version: z.int(),
    min_encryption_version: z.int(),
    min_available_version: z.int(),
  }),
});
const upsertSchema = z.object({ data: z.object({ disable_upsert: z.boolean() }) });
/** What Transit answers with 404 for a key; a mount that is gone, another engine or a proxy says more, or no JSON. */
const noKeySchema = z.object({ errors: z.tuple([]) });
const ciphertextSchema = z.object({ data: z.object({ ciphertext: z.string() }) });
const plaintextSchema = z.object({ data: z.object({ plaintext: z.base64() }) });

export function createVaultTransit({
  session,
  mount,
  keyPrefix,
}: VaultTransitOptions): VaultTransit {
  const at = (what: string, tenantId: TenantId) =>
    `${mount}/${what}/${keyPrefix}${nameOf(tenantId)}`;
  const post = (path: string, body: Readonly<Record<string, unknown>> = {}) =>
    session.send({ method: 'POST', path, body });
  return {
    mayUpsert: async () => {
      const path = `${mount}/config/keys`;
      const answer = await session.send({ method: 'GET', path });
      return !parse(upsertSchema, requireOk(answer, path), path).data.disable_upsert;
    },
    find: async (tenantId) => {
      const path = at('keys', tenantId);
      const answer = await session.send({ method: 'GET', path });
      return isNoKey(answer) ? undefined : keyOf(answer, path);
    },
    create: async (tenantId) =>
      keyOf(await post(at('keys', tenantId), creation), at('keys', tenantId)),
    rotate: async (tenantId) => {
      const path = `${at('keys', tenantId)}/rotate`;
      return keyOf(await post(path), path);
    },
    encrypt: async (tenantId, plaintext) => {
      const path = at('encrypt', tenantId);
      const body = { plaintext: base64(plaintext), context: contextOf(tenantId) };
      return parse(ciphertextSchema, requireOk(await post(path, body), path), path).data.ciphertext;
    },
    decrypt: async (tenantId, ciphertext) => {
      const path = at('decrypt', tenantId);
      const answer = await post(path, { ciphertext, context: contextOf(tenantId) });
      if (answer.status === 400) return undefined;
      const { plaintext } = parse(plaintextSchema, requireOk(answer, path), path).data;
      return Buffer.from(plaintext, 'base64');
    },
    configure: async (tenantId, settings) => {
      const path = `${at('keys', tenantId)}/config`;
      requireOk(await post(path, settings), path);
    },
    trim: async (tenantId, minAvailableVersion) => {
      const path = `${at('keys', tenantId)}/trim`;
      requireOk(await post(path, { min_available_version: minAvailableVersion }), path);
    },
    delete: async (tenantId) => {
      const path = at('keys', tenantId);
      const answer = await session.send({ method: 'DELETE', path });
      return answer.status === 400 ? false : requireOk(answer, path).isOk;
    },
  };
}

function isNoKey({ status, body }: VaultAnswer): boolean {
  return status === 404 && noKeySchema.safeParse(body).success;
}

function keyOf(answer: VaultAnswer, path: string): TransitKey {
  const { data } = parse(keySchema, requireOk(answer, path), path);
  return {
    isSuitable:
      data.type === creation.type &&
      data.derived &&
      !data.exportable &&
      !data.allow_plaintext_backup,
    latestVersion: data.latest_version,
    minDecryptionVersion: data.min_decryption_version,
    minEncryptionVersion: data.min_encryption_version,
    minAvailableVersion: data.min_available_version,
  };
}

function requireOk(answer: VaultAnswer, path: string): VaultAnswer {
  if (answer.isOk) return answer;
  if (answer.status === 403) {
    throw new ServiceError(
      'KMS_ACCESS_DENIED',
      `Vault refuses ${path}: give the policy of keys the right to it.`,
    );
  }
  throw new ServiceError(
    'KMS_MISCONFIGURED',
    `Vault answered ${answer.status} to ${path}: check the mount and the settings of the key; Vault's own log says why.`,
  );
}

function parse<Output>(schema: z.ZodType<Output>, { body }: VaultAnswer, path: string): Output {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  // Without the cause: it quotes what it met.
  throw new ServiceError('KMS_MISCONFIGURED', `What answers ${path} is no Transit engine.`);
}

/** Vault's names do not end in a hyphen and tenant ids have no underscore, so that no two tenants share a name. */
function nameOf(tenantId: TenantId): string {
  return tenantId.endsWith('-') ? `${tenantId}_` : tenantId;
}

function contextOf(tenantId: TenantId): string {
  return base64(Buffer.from(JSON.stringify(['lethe.transit.v1', tenantId])));
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64');
}
