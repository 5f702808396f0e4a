import type { ConsumerSchema } from '@lethe/platform/consumer/tables.ts';
import type { Generated } from 'kysely';

/** The schema of `keys`. Compact on purpose (migrations/0001); docs/bench.md says what ten million data keys take. */
export interface KeysSchema extends ConsumerSchema {
  tenants: {
    /** Stands for the tenant id in every other table. */
    tenant_number: Generated<number>;
    tenant_id: string;
    may_return: boolean;
    /** Number of the tenant key that wraps from now on. */
    newest_tenant_key: number;
    /** Wrapped by the tenant key. */
    token_key: Buffer;
  };
  tenant_keys: {
    tenant_number: number;
    number: number;
    /** By the KMS. */
    wrapped: Buffer;
    created_at_ms: bigint;
  };
  data_keys: {
    tenant_number: number;
    generation: number;
    claimed_messages: number;
    claimed_kib: number;
    /** Minutes since 1970. */
    created_minute: number;
    incarnation: number;
    /** First two bytes of the key id, signed: enough to find one generation among many. */
    key_id_start: number;
    /** See scopeBytes. */
    scope: Buffer;
    /** By the tenant key. */
    wrapped: Buffer;
    /** Of a ticket: see ownerBytes. Empty otherwise, which costs one byte where null would cost eight. */
    owner: Buffer;
  };
  fences: {
    tenant_number: number;
    scope: Buffer;
    incarnation: number;
    cut_off_ms: bigint;
  };
  aliases: {
    tenant_number: number;
    alias: Buffer;
    person: Buffer;
  };
  contributor_keys: {
    tenant_number: number;
    month: number;
    wrapped: Buffer;
  };
  erasures: {
    tenant_number: number;
    erasure_id: string;
    fenced_at_ms: bigint;
    keys_destroyed: number;
    /** Encoded FenceResponse: what every repeat is answered. */
    answer: Buffer;
    unreadable_at_ms: bigint | null;
  };
}
