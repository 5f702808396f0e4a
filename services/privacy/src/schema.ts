/** The schema of `privacy`, beside the outbox tables of the platform. */
export interface PrivacySchema {
  tenants: {
    tenant_id: string;
    region: string;
    retention_days: number;
    returning_persons: number;
    /** Null while the tenant's keys are being made. */
    registered_at_ms: bigint | null;
  };
  erasures: {
    erasure_id: string;
    tenant_id: string;
    ground: number;
    /** 16 bytes each, one after another. */
    person_tokens: Buffer;
    requested_at_ms: bigint;
    /** How many events of the erasure are on their way to the log: the position of the last. */
    events: number;
    /** False once it is completed. */
    is_open: boolean;
    /** Encoded ScopesErased, as on the log. */
    scopes_erased: Buffer | null;
    keys_destroyed: number | null;
    fenced_at_ms: bigint | null;
    unreadable_at_ms: bigint | null;
    purged_at_ms: bigint | null;
    physically_gone_by_ms: bigint | null;
    certificate_jws: string | null;
  };
  erasure_receipts: {
    erasure_id: string;
    service: string;
    /** Encoded ErasureReceipt. */
    receipt: Buffer;
  };
}
