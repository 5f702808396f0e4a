import { invalidFields, type Problems } from '@lethe/platform/grpc/parse-request.ts';
import { isTenantId, type TenantId, type Token, tokenFromBytes } from '@lethe/platform/ids/ids.ts';

/** Throws INVALID_FIELDS: without a tenant nothing else of a request means anything. */
export function parseTenantId(text: string): TenantId {
  if (isTenantId(text)) return text;
  throw invalidFields([{ field: 'tenant_id', description: 'a tenant id' }]);
}

/** Throws INVALID_FIELDS. */
export function parseHolderId(text: string): string {
  if (text.length >= 1 && text.length <= 128) return text;
  throw invalidFields([{ field: 'holder_id', description: '1 to 128 characters' }]);
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
