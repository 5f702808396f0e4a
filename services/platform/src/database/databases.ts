import type { Kysely } from 'kysely';

/** One database, a schema per service: what composes several services is given. */
export interface Databases {
  /** A handle whose unqualified names mean `schemaName` (created when missing; lower-case letters, digits, `_`). */
  database<Schema>(schemaName: string): Kysely<Schema>;
  /** Closes every handle; idempotent. */
  close(): Promise<void>;
}

/** Throws RangeError unless the name needs no quotes anywhere. */
export function assertSchemaName(schemaName: string): void {
  if (/^[a-z][a-z0-9_]{0,62}$/.test(schemaName)) return;
  throw new RangeError(`${schemaName} cannot name a schema`);
}
