import { type Kysely, sql } from 'kysely';
import type {
  PreviewErasureRequest,
  PreviewErasureResponse,
  Scope as WireScope,
} from '@lethe/proto/gen/lethe/erasure/v1/service.ts';
import { ServiceError } from '../errors/service-error.ts';
import type { UnaryHandler } from '../grpc/handler.ts';
import { parseScope } from '../sealing/scope-wire.ts';
import type { ErasedStream } from './erasure-store.ts';
import type { EventFamily } from './family.ts';
import type { EventStoreSchema } from './tables.ts';

export interface PreviewPorts {
  readonly family: Pick<EventFamily<never, never>, 'service' | 'streamKind'>;
  readonly db: Kysely<EventStoreSchema>;
  /** How many records of these streams a consumer of this service has parked. */
  readonly countParked?: (tenantId: string, streams: readonly ErasedStream[]) => Promise<bigint>;
}

interface PreviewScope {
  readonly kind: 'ticket' | 'person';
  readonly token: string;
  readonly incarnation: number;
}

/** The numbers that the receipt of such an erasure would say now; changes nothing. */
export function previewErasure({
  family,
  db,
  countParked,
}: PreviewPorts): UnaryHandler<PreviewErasureRequest, PreviewErasureResponse> {
  return async ({ tenantId, scopes: given }) => {
    const scopes = given.flatMap(parseScopeUpTo);
    const streams = scopes.filter((scope) => scope.kind === family.streamKind);
    const { records, rows } = await countStreams(db, tenantId, streams);
    const persons = scopes.filter((scope) => scope.kind === 'person');
    const boxesUnreadable = await countBoxes(db, tenantId, persons, streams);
    const parked = (await countParked?.(tenantId, streams)) ?? 0n;
    return { service: family.service, records, rows: rows + parked, boxesUnreadable };
  };
}

function parseScopeUpTo({ kind, token, incarnation }: WireScope): readonly PreviewScope[] {
  const scope = parseScope(kind, token);
  if (scope === undefined) {
    throw new ServiceError('INVALID_FIELDS', 'a scope of no known kind', {
      violations: [{ field: 'scopes', description: 'must name a kind and a token of 16 bytes' }],
    });
  }
  return scope.kind === 'facts' ? [] : [{ ...scope, incarnation }];
}

function scopesTable(scopes: readonly PreviewScope[]) {
  return sql`unnest(${scopes.map((scope) => scope.token)}::text[],
    ${scopes.map((scope) => scope.incarnation)}::int4[]) as erased (token, incarnation)`;
}

async function countStreams(
  db: Kysely<EventStoreSchema>,
  tenantId: string,
  streams: readonly PreviewScope[],
): Promise<{ readonly records: bigint; readonly rows: bigint }> {
  const { rows } = await sql<{ records: bigint; kept: bigint; streams: bigint }>`
    select
      (select count(*) from ${scopesTable(streams)} join event_index as indexed
        on indexed.tenant_id = ${tenantId} and indexed.stream_token = erased.token
        and indexed.stream_incarnation <= erased.incarnation) as records,
      (select count(*) from ${scopesTable(streams)} join records
        on records.tenant_id = ${tenantId} and records.stream_token = erased.token
        and records.stream_incarnation <= erased.incarnation) as kept,
      (select count(*) from ${scopesTable(streams)} join streams
        on streams.tenant_id = ${tenantId} and streams.token = erased.token
        and streams.incarnation <= erased.incarnation) as streams`.execute(db);
  const counted = rows[0] ?? { records: 0n, kept: 0n, streams: 0n };
  return { records: counted.records, rows: counted.kept + counted.streams };
}

async function countBoxes(
  db: Kysely<EventStoreSchema>,
  tenantId: string,
  persons: readonly PreviewScope[],
  streams: readonly PreviewScope[],
): Promise<bigint> {
  const { rows } = await sql<{ boxes: bigint }>`
    select coalesce(sum(boxes.boxes), 0)::int8 as boxes
    from ${scopesTable(persons)} join person_boxes as boxes
      on boxes.tenant_id = ${tenantId} and boxes.person_token = erased.token
      and boxes.person_incarnation <= erased.incarnation
    where not exists (select 1 from unnest(${streams.map((stream) => stream.token)}::text[],
        ${streams.map((stream) => stream.incarnation)}::int4[]) as gone (token, incarnation)
      where gone.token = boxes.stream_token and boxes.stream_incarnation <= gone.incarnation)`.execute(
    db,
  );
  return rows[0]?.boxes ?? 0n;
}
