/**
 * The catalogue of error reasons: what `google.rpc.ErrorInfo.reason` may say (domain `lethe.dev`).
 * docs/errors.md lists the same; a test holds the two together. A reason never changes its code or meaning.
 */

import { callReasons } from './call-reasons.ts';
import type { CanonicalCode } from './canonical-code.ts';
import { limitReasons } from './limit-reasons.ts';
import { logReasons } from './log-reasons.ts';
import { storeReasons } from './store-reasons.ts';

export type { CanonicalCode } from './canonical-code.ts';

export interface ReasonEntry {
  readonly code: CanonicalCode;
  /** What happened, as a rule. */
  readonly meaning: string;
  /** What the reader does next. */
  readonly next: string;
}

export const reasons = {
  // Requests
  INVALID_FIELDS: {
    code: 'INVALID_ARGUMENT',
    meaning: 'One or more fields break a rule; the details name each field and rule.',
    next: 'Correct the named fields and send the request again.',
  },
  MALFORMED_MESSAGE: {
    code: 'INVALID_ARGUMENT',
    meaning: 'The bytes are not a protobuf message of the type this method takes.',
    next: 'Check that client and server use the same proto version.',
  },
  BATCH_SIZE: {
    code: 'INVALID_ARGUMENT',
    meaning: 'A message holds no event or more than 1,000.',
    next: 'Send 1 to 1,000 events a message.',
  },
  EVENT_TOO_LARGE: {
    code: 'INVALID_ARGUMENT',
    meaning: 'The event would be larger than the log takes once sealed.',
    next: 'Make the content smaller; send large attachments by reference.',
  },
  // Identity
  TOKEN_MISSING: {
    code: 'UNAUTHENTICATED',
    meaning: 'The call carries no access token.',
    next: 'Send metadata "authorization: Bearer <token>"; `lethe token` makes one for a local server.',
  },
  TOKEN_INVALID: {
    code: 'UNAUTHENTICATED',
    meaning: 'The access token is malformed, or its signature, issuer or audience is wrong.',
    next: 'Get a token from the issuer this server trusts.',
  },
  TOKEN_EXPIRED: {
    code: 'UNAUTHENTICATED',
    meaning: 'The access token has expired or lives longer than an hour.',
    next: 'Get a fresh token.',
  },
  ROLE_REQUIRED: {
    code: 'PERMISSION_DENIED',
    meaning: 'The token lacks the role that this method needs.',
    next: 'Ask for a token with one of the roles named in the message.',
  },
  TENANT_REQUIRED: {
    code: 'PERMISSION_DENIED',
    meaning: 'The token names no tenant, and this method works on the data of one.',
    next: 'Use a token with a tenant claim.',
  },
  SERVICES_ONLY: {
    code: 'PERMISSION_DENIED',
    meaning: 'The method is for services of the platform, known by their certificate.',
    next: 'Use the public methods.',
  },
  METHOD_NOT_LISTED: {
    code: 'UNIMPLEMENTED',
    meaning: 'No access rule lists this method, so nobody may call it.',
    next: 'Check the method name.',
  },
  // Between services
  ...callReasons,
  // Tenants, tickets, erasures
  TENANT_UNKNOWN: {
    code: 'NOT_FOUND',
    meaning: 'The tenant is not registered.',
    next: 'Register it first: `lethe tenant register`.',
  },
  TENANT_EXISTS: {
    code: 'ALREADY_EXISTS',
    meaning: 'The tenant is registered with other settings.',
    next: 'Change its settings instead of registering it again.',
  },
  TICKET_UNKNOWN: {
    code: 'NOT_FOUND',
    meaning: 'The tenant has no such ticket.',
    next: 'Check the id; ids of other tenants do not exist for this caller.',
  },
  TICKET_ERASED: {
    code: 'NOT_FOUND',
    meaning: 'The ticket was erased.',
    next: 'Nothing; this is final.',
  },
  EVENT_CONFLICT: {
    code: 'ALREADY_EXISTS',
    meaning: 'An event with this id and other content was accepted earlier.',
    next: 'Give the event an id of its own; the stored one stays.',
  },
  SCOPE_ERASED: {
    code: 'FAILED_PRECONDITION',
    meaning:
      'The person or ticket was erased; its data key is gone and nothing more is stored for it.',
    next: 'Nothing; this is final.',
  },
  PERSON_UNKNOWN: {
    code: 'NOT_FOUND',
    meaning: 'No person of this tenant has this id.',
    next: 'Check the id, or try another id of the person.',
  },
  PERSON_AMBIGUOUS: {
    code: 'FAILED_PRECONDITION',
    meaning: 'Several persons share this id.',
    next: 'Preview with dry_run and confirm the persons by token.',
  },
  ERASURE_UNKNOWN: {
    code: 'NOT_FOUND',
    meaning: 'The tenant has no such erasure.',
    next: 'List the erasures: `lethe erasure list`.',
  },
  ERASURE_NOT_COMPLETED: {
    code: 'FAILED_PRECONDITION',
    meaning: 'The certificate exists only once every obliged service has sent its receipt.',
    next: 'Watch the erasure: `lethe erasure watch`.',
  },
  METRIC_UNKNOWN: {
    code: 'NOT_FOUND',
    meaning: 'The catalogue has no such metric or version.',
    next: 'List the catalogue: `lethe metrics`.',
  },
  ANSWER_TOO_LARGE: {
    code: 'INVALID_ARGUMENT',
    meaning: 'The answer would have more rows than one answer may have.',
    next: 'Narrow the range, coarsen the grain or group by fewer dimensions.',
  },
  // Sealing and keys
  TAMPERED: {
    code: 'DATA_LOSS',
    meaning: 'A box does not open under its header, scope and part list: something was changed.',
    next: 'Treat it as an incident; compare the record with a backup.',
  },
  EVENT_TYPE_UNKNOWN: {
    code: 'FAILED_PRECONDITION',
    meaning: 'A record holds an event type or a part that this version does not know.',
    next: 'Upgrade this service: a newer version wrote the record.',
  },
  KEY_UNKNOWN: {
    code: 'DATA_LOSS',
    meaning: 'No data key has this id, and no fence says that it was erased.',
    next: 'Treat it as an incident: the key store lost a key or belongs to another installation.',
  },
  KEY_COMMITMENT_MISMATCH: {
    code: 'DATA_LOSS',
    meaning: 'A leased data key does not match its key id.',
    next: 'Treat it as an incident.',
  },
  SCOPE_NOT_ALLOWED: {
    code: 'PERMISSION_DENIED',
    meaning: 'The calling service may not lease keys of this kind of scope for this purpose.',
    next: 'Nothing; this is a rule of the platform.',
  },
  LEASE_EXPIRED: {
    code: 'UNAVAILABLE',
    meaning: 'A data-key lease ran out before its use.',
    next: 'Lease again; the caller retries by itself.',
  },
  LEASE_CLAIM_EXHAUSTED: {
    code: 'UNAVAILABLE',
    meaning: 'A data-key lease has sealed as much as it claimed.',
    next: 'Lease again; the caller retries by itself.',
  },
  KEYS_UNAVAILABLE: {
    code: 'UNAVAILABLE',
    meaning: 'The keys service or its KMS cannot be reached, so nothing can be sealed or opened.',
    next: 'Retry later; nothing was stored.',
  },
  KEYS_CATCHING_UP: {
    code: 'UNAVAILABLE',
    meaning: 'The keys service has not yet read privacy.v1 to its end after a start.',
    next: 'Retry in a moment.',
  },
  KEYRING_DAMAGED: {
    code: 'DATA_LOSS',
    meaning: 'The keyring file cannot be read or its checksum is wrong.',
    next: 'Restore the keyring file from its copy; without it no data of this folder can be read.',
  },
  KMS_KEY_MISSING: {
    code: 'FAILED_PRECONDITION',
    meaning: 'The KMS holds no key for this tenant: none was made, or it was destroyed.',
    next: 'Check that the KMS or keyring belongs to this installation; a destroyed key cannot come back.',
  },
  KMS_UNWRAP_FAILED: {
    code: 'DATA_LOSS',
    meaning:
      'The KMS cannot unwrap these bytes: their key version is gone, or tenant or bytes are other ones.',
    next: 'Treat it as an incident; a key store restored from a copy past the rotation horizon stays closed.',
  },
  KMS_UNAVAILABLE: {
    code: 'UNAVAILABLE',
    meaning: 'The KMS cannot be reached or fails, so no key can be wrapped or unwrapped.',
    next: 'Check the KMS; callers retry by themselves, and nothing was stored meanwhile.',
  },
  KMS_SEALED: {
    code: 'UNAVAILABLE',
    meaning: 'The KMS is sealed, so no key can be unwrapped.',
    next: 'Unseal it; callers retry by themselves, and nothing was stored meanwhile.',
  },
  KMS_ACCESS_DENIED: {
    code: 'UNAVAILABLE',
    meaning: 'The KMS refuses the login of keys, or a right that keys needs.',
    next: 'Correct the login files or the policy in the KMS; callers retry by themselves.',
  },
  KMS_MISCONFIGURED: {
    code: 'FAILED_PRECONDITION',
    meaning: 'The KMS, or a key in it, is set up in a way that Lethe cannot use or must not trust.',
    next: 'Correct what the message names; see docs/operators/vault.md, or aws-kms.md there.',
  },
  HOLDER_UNREGISTERED: {
    code: 'UNAVAILABLE',
    meaning: 'The holder is not registered for revocations, so it gets no lease.',
    next: 'Watch revocations first; the caller registers and retries by itself.',
  },
  // Log and stores
  ...logReasons,
  REBUILD_RUNNING: {
    code: 'FAILED_PRECONDITION',
    meaning: 'Another rebuild of this service is under way.',
    next: 'Wait for its end, or end the command that started it; see docs/operators/rebuild.md.',
  },
  ...limitReasons,
  STORE_UNAVAILABLE: {
    code: 'UNAVAILABLE',
    meaning: 'A store of the service cannot be reached.',
    next: 'Retry later.',
  },
  ...storeReasons,
  NESTED_TRANSACTION: {
    code: 'INTERNAL',
    meaning: 'Code inside a transaction used the database outside of it.',
    next: 'Report this as a defect.',
  },
  SHUTTING_DOWN: {
    code: 'UNAVAILABLE',
    meaning: 'The server is stopping.',
    next: 'Retry; another instance or the restarted one will answer.',
  },
  INTERNAL_DEFECT: {
    code: 'INTERNAL',
    meaning: 'The server met a state it has no rule for.',
    next: 'Report this with the call id in the message.',
  },
  // Starting
  CONFIG_INVALID: {
    code: 'INVALID_ARGUMENT',
    meaning: 'The configuration breaks one or more rules; all are listed.',
    next: 'Correct the listed settings.',
  },
  PORT_IN_USE: {
    code: 'FAILED_PRECONDITION',
    meaning: 'Another process listens on this port.',
    next: 'Stop it or choose another port.',
  },
  DATA_FOLDER_IN_USE: {
    code: 'FAILED_PRECONDITION',
    meaning: 'Another process works on this data folder.',
    next: 'Stop it or choose another folder.',
  },
  DATA_FOLDER_UNUSABLE: {
    code: 'FAILED_PRECONDITION',
    meaning: 'The data folder cannot be created or opened.',
    next: 'Correct its path, its rights or the free space, or choose another folder.',
  },
  DATA_FOLDER_NEWER: {
    code: 'FAILED_PRECONDITION',
    meaning: 'A newer version of Lethe wrote this data folder.',
    next: 'Run that version or a newer one.',
  },
  SCHEMA_NEWER: {
    code: 'FAILED_PRECONDITION',
    meaning: 'A newer version of the service migrated this database schema.',
    next: 'Run that version or a newer one.',
  },
} as const satisfies Record<string, ReasonEntry>;

export type Reason = keyof typeof reasons;

/** `ErrorInfo.domain` of every error. */
export const errorDomain = 'lethe.dev';
