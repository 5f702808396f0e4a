import type {
  ListErasuresRequest,
  ListErasuresResponse,
} from '@lethe/proto/gen/lethe/privacy/v1/service.ts';
import { requireTenant } from '@lethe/platform/grpc/caller.ts';
import type { UnaryHandler } from '@lethe/platform/grpc/handler.ts';
import { parsePageSize } from '@lethe/platform/grpc/parse-request.ts';
import { isUuidText } from '@lethe/platform/ids/ids.ts';
import type { Kysely } from 'kysely';
import type { PrivacySchema } from '../schema.ts';
import { type ErasurePlace, erasuresOf } from '../store.ts';
import { erasureMessageOf } from './erasure-message.ts';
import { decodePageToken, encodePageToken, unknownPageToken } from './page-token.ts';

const pageSizeNormal = 50;
const pageSizeMax = 200;

function encodePlace({ requestedAtMs, erasureId }: ErasurePlace): string {
  return encodePageToken(`${requestedAtMs}.${erasureId}`);
}

function parsePlace(pageToken: string): ErasurePlace | undefined {
  if (pageToken === '') return undefined;
  const [time = '', erasureId = '', ...rest] = decodePageToken(pageToken).split('.');
  if (!/^\d{1,15}$/.test(time) || !isUuidText(erasureId) || rest.length > 0)
    throw unknownPageToken();
  return { requestedAtMs: Number(time), erasureId };
}

/** Newest first, in keyset pages: a page begins where the previous ended, whatever was added meanwhile. */
export function listErasures(
  db: Kysely<PrivacySchema>,
): UnaryHandler<ListErasuresRequest, ListErasuresResponse> {
  return async (request, call) => {
    const tenantId = requireTenant(call);
    const pageSize = parsePageSize(request.pageSize, pageSizeNormal, pageSizeMax);
    const found = await erasuresOf(db, tenantId, parsePlace(request.pageToken), pageSize + 1);
    const page = found.slice(0, pageSize);
    const last = page.at(-1);
    return {
      erasures: page.map(erasureMessageOf),
      nextPageToken: found.length > pageSize && last !== undefined ? encodePlace(last) : '',
    };
  };
}
