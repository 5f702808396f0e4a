import { type FieldViolation, ServiceError } from '../errors/service-error.ts';
import { type ErasureId, isUuidText } from '../ids/ids.ts';

/** Collects every broken rule, so that a caller learns them all at once. Paths and rules, never values. */
export interface Problems {
  readonly found: readonly FieldViolation[];
  add(field: string, rule: string): void;
  /** Throws INVALID_FIELDS when there is any. */
  refuse(): void;
}

export function createProblems(): Problems {
  const found: FieldViolation[] = [];
  return {
    found,
    add: (field, description) => {
      found.push({ field, description });
    },
    refuse: () => {
      if (found.length > 0) throw invalidFields(found);
    },
  };
}

/** INVALID_FIELDS with every broken rule at once. */
export function invalidFields(violations: readonly FieldViolation[]): ServiceError {
  return new ServiceError('INVALID_FIELDS', undefined, { violations });
}

/** The id of an erasure, in whatever case it was written. Throws INVALID_FIELDS. */
export function parseErasureId(text: string): ErasureId {
  const erasureId = text.toLowerCase();
  if (isUuidText(erasureId)) return erasureId;
  throw invalidFields([{ field: 'erasure_id', description: 'must be a UUID in text form' }]);
}

/** The size of a page: `normal` when none is asked for. Throws INVALID_FIELDS above `max`. */
export function parsePageSize(asked: number, normal: number, max: number): number {
  if (asked > max) {
    const description = `must be 1 to ${max}, or 0 for ${normal}`;
    throw invalidFields([{ field: 'page_size', description }]);
  }
  return asked === 0 ? normal : asked;
}
