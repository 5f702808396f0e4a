import type { Record as LogRecord } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import { eventShapes } from '@lethe/proto/gen/shapes.ts';
import type { Reason } from '@lethe/proto/reasons.ts';
import { DatabaseError } from '../database/database-error.ts';
import { ServiceError } from '../errors/service-error.ts';
import { isTenantId } from '../ids/ids.ts';
import { isTransient } from '../retry/is-transient.ts';

/** The reason of an event that only waits behind a parked one of its stream. */
export const waitsBehind = 'STREAM_PARKED' satisfies Reason;

/**
 * The reasons that one record alone can give. Every other error says something about a store, a key service or the
 * process, and a partition that meets it stops or waits, as parking would lose nothing less than everything.
 * KEY_UNKNOWN is among them: `keys` has committed a key before anything is sealed under it, so a key that is unknown
 * when its record is read will not become known by waiting; when the key store is another one, the breaker says so.
 */
const reasonsOfRecords: ReadonlySet<Reason> = new Set<Reason>([
  'RECORD_MALFORMED',
  'RECORD_KEY_WRONG',
  'RECORD_NEWER',
  'EVENT_TYPE_UNKNOWN',
  'TAMPERED',
  'KEY_UNKNOWN',
  'TENANT_UNKNOWN',
  'MALFORMED_MESSAGE',
  'INVALID_FIELDS',
  'EVENT_TOO_LARGE',
  'EVENT_CONFLICT',
  'SCOPE_ERASED',
  'TICKET_UNKNOWN',
  'INTERNAL_DEFECT',
]);

/** Classes of SQLSTATE that a value brings about: data exception, integrity constraint. */
const classesOfValues: ReadonlySet<string> = new Set(['22', '23']);

/** Why a record that was tried alone is poison; undefined when the error is not the record's. */
export function poisonReasonOf(error: unknown): Reason | undefined {
  if (isTransient(error)) return undefined;
  if (error instanceof ServiceError) {
    return reasonsOfRecords.has(error.reason) ? error.reason : undefined;
  }
  if (error instanceof DatabaseError) {
    return classesOfValues.has(error.sqlState.slice(0, 2)) ? 'INTERNAL_DEFECT' : undefined;
  }
  // Of the operating system or a driver: they carry a code, which what our own code throws does not.
  if (!(error instanceof Error) || typeof Reflect.get(error, 'code') === 'string') return undefined;
  return 'INTERNAL_DEFECT';
}

/**
 * What is wrong with a record before any box of it is opened; undefined when nothing is. A newer schema version has a
 * reason of its own: an upgrade mends it.
 */
export function envelopePoisonOf({ header }: LogRecord): Reason | undefined {
  if (header === undefined) return 'RECORD_MALFORMED';
  if (!isTenantId(header.tenantId)) return 'TAMPERED';
  const shape = eventShapes[header.type];
  if (shape === undefined) return 'EVENT_TYPE_UNKNOWN';
  return header.schemaVersion > shape.schemaVersion ? 'RECORD_NEWER' : undefined;
}
