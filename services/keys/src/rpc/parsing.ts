import { type FieldViolation, ServiceError } from '@lethe/platform/errors/service-error.ts';
import {
  type ErasureId,
  isTenantId,
  isUuidText,
  type TenantId,
  type Token,
  tokenFromBytes,
} from '@lethe/platform/ids/ids.ts';

/** Collects every broken rule of a request, so that one answer names them all. */
export interface Problems {
  add(field: string, description: string): void;
  /** Throws INVALID_FIELDS when there is any. */
  refuse(): void;
}

export function createProblems(): Problems {
  const violations: FieldViolation[] = [];
  return {
    add: (field, description) => {
      violations.push({ field, description });
    },
    refuse: () => {
      if (violations.length > 0)
        throw new ServiceError('INVALID_FIELDS', undefined, { violations });
    },
  };
}

/** Throws INVALID_FIELDS: without a tenant nothing else of a request means anything. */
export function parseTenantId(text: string): TenantId {
  if (isTenantId(text)) return text;
  throw new ServiceError('INVALID_FIELDS', undefined, {
    violations: [{ field: 'tenant_id', description: 'a tenant id' }],
  });
}

/** Throws INVALID_FIELDS. */
export function parseErasureId(text: string): ErasureId {
  if (isUuidText(text)) return text;
  throw new ServiceError('INVALID_FIELDS', undefined, {
    violations: [{ field: 'erasure_id', description: 'a UUID in lower-case text' }],
  });
}

/** Throws INVALID_FIELDS. */
export function parseHolderId(text: string): string {
  if (text.length >= 1 && text.length <= 128) return text;
  throw new ServiceError('INVALID_FIELDS', undefined, {
    violations: [{ field: 'holder_id', description: '1 to 128 characters' }],
  });
}

/** The tokens that are 16 bytes; the others become problems. */
export function parseTokens(
  problems: Problems,
  field: string,
  tokens: readonly Uint8Array[],
): Token[] {
  return tokens.flatMap((bytes, index) => {
    if (bytes.length === 16) return [tokenFromBytes(bytes)];
    problems.add(`${field}[${index}]`, '16 bytes');
    return [];
  });
}
