import type {
  ListTenantsRequest,
  ListTenantsResponse,
} from '@lethe/proto/gen/lethe/privacy/v1/service.ts';
import type { UnaryHandler } from '@lethe/platform/grpc/handler.ts';
import { parsePageSize } from '@lethe/platform/grpc/parse-request.ts';
import { isTenantId } from '@lethe/platform/ids/ids.ts';
import type { Kysely } from 'kysely';
import type { PrivacySchema } from '../schema.ts';
import { tenantsAfter } from '../tenant-store.ts';
import { tenantMessageOf } from './tenant-message.ts';
import { decodePageToken, encodePageToken, unknownPageToken } from './page-token.ts';

const pageSizeNormal = 100;
const pageSizeMax = 500;

function parsePlace(pageToken: string): string {
  const place = decodePageToken(pageToken);
  if (pageToken !== '' && !isTenantId(place)) throw unknownPageToken();
  return place;
}

/** Registered tenants by id, in keyset pages. */
export function listTenants(
  db: Kysely<PrivacySchema>,
): UnaryHandler<ListTenantsRequest, ListTenantsResponse> {
  return async (request) => {
    const pageSize = parsePageSize(request.pageSize, pageSizeNormal, pageSizeMax);
    const found = await tenantsAfter(db, parsePlace(request.pageToken), pageSize + 1);
    const page = found.slice(0, pageSize);
    const last = page.at(-1);
    return {
      tenants: page.map(tenantMessageOf),
      nextPageToken:
        found.length > pageSize && last !== undefined ? encodePageToken(last.tenantId) : '',
    };
  };
}
