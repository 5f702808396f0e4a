import { sql, type Transaction } from 'kysely';
import { ScopeKind } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import { eventIdFromBytes, type TenantId, tokenFromBytes } from '../ids/ids.ts';
import type { RandomBytes } from '../lifecycle/clock.ts';
import { sealValue } from '../sealing/value.ts';
import type { ApplyPorts, Folded, LoggedRecord, MendedStream } from './apply-parts.ts';
import type { EventFamily } from './family.ts';
import { addPersonBoxes, insertRecords, type PersonBoxes } from './read-model.ts';
import { type StreamKey, streamText } from './streams.ts';
import type { EventStoreSchema } from './tables.ts';

type Tx = Transaction<EventStoreSchema>;

interface StoredRecord {
  readonly logged: LoggedRecord;
  readonly key: StreamKey;
}

/** Writes what one tenant's records come to. */
export async function storeFolded<Command, State>(
  tx: Tx,
  { family, randomBytes }: ApplyPorts<Command, State>,
  { tenantId, streams, records }: Folded<State>,
): Promise<void> {
  if (records.length === 0) return;
  const moved = new Set(records.map(({ key }) => streamText(key)));
  for (const stream of streams.values()) {
    if (!moved.has(streamText(stream.key))) continue;
    await upsertStream(tx, tenantId, stream, sealNext(family, randomBytes, tenantId, stream));
  }
  await insertIndexRows(tx, tenantId, records);
  if (family.keepsRecords) {
    const kept = records.map(({ key, logged }) => ({
      streamToken: key.token,
      streamIncarnation: key.incarnation,
      position: positionOf(logged),
      record: logged.value,
    }));
    await insertRecords(tx, tenantId, kept);
  }
  await addPersonBoxes(tx, tenantId, personBoxesOf(streams, records));
}

function positionOf({ record }: LoggedRecord): number {
  return Number(record.header?.position ?? 0n);
}

interface NextState {
  readonly version: number;
  readonly state: Buffer | undefined;
}

/** A box is bound to its version, which is above that of the state that the tables had. */
function sealNext<Command, State>(
  { stateCodec: codec }: EventFamily<Command, State>,
  randomBytes: RandomBytes,
  tenantId: TenantId,
  { key, lease, state, version: before }: MendedStream<State>,
): NextState {
  const version = before + 1;
  if (codec === undefined || state === undefined || lease?.granted !== true) {
    return { version, state: undefined };
  }
  const binding = { tenantId, name: codec.name, streamToken: key.token, version };
  return { version, state: sealValue(lease, binding, codec.encode(state), randomBytes) };
}

async function upsertStream<State>(
  tx: Tx,
  tenantId: TenantId,
  { key, partition, position, openedAtMs }: MendedStream<State>,
  { version, state }: NextState,
): Promise<void> {
  await sql`
    insert into streams (tenant_id, token, incarnation, partition, position, opened_at_ms, version, state)
    values (${tenantId}, ${key.token}, ${key.incarnation}, ${partition}, ${position}, ${openedAtMs}, ${version},
      ${state ?? null})
    on conflict (tenant_id, token, incarnation) do update set position = excluded.position,
      opened_at_ms = excluded.opened_at_ms, version = excluded.version, state = excluded.state`.execute(
    tx,
  );
}

async function insertIndexRows(
  tx: Tx,
  tenantId: TenantId,
  records: readonly StoredRecord[],
): Promise<void> {
  const eventIds = records.map(({ logged }) =>
    eventIdFromBytes(logged.record.header?.eventId ?? Buffer.alloc(0)),
  );
  await sql`
    insert into event_index (record_id, tenant_id, event_id, stream_token, stream_incarnation, position, partition,
      sequence, digest)
    select record_id, ${tenantId}, event_id, stream_token, stream_incarnation, position, partition, sequence, ''::bytea
    from unnest(${records.map(({ logged }) => logged.recordId)}::uuid[], ${eventIds}::uuid[],
      ${records.map(({ key }) => key.token)}::text[], ${records.map(({ key }) => key.incarnation)}::int4[],
      ${records.map(({ logged }) => positionOf(logged))}::int8[],
      ${records.map(({ logged }) => logged.partition)}::int4[],
      ${records.map(({ logged }) => logged.sequence)}::int8[])
      as mended (record_id, event_id, stream_token, stream_incarnation, position, partition, sequence)`.execute(
    tx,
  );
}

/** Boxes of persons other than the one with whom the whole stream goes, as an append counts them. */
function personBoxesOf<State>(
  streams: ReadonlyMap<string, MendedStream<State>>,
  records: readonly StoredRecord[],
): readonly PersonBoxes[] {
  const counts = new Map<string, PersonBoxes>();
  for (const { logged, key: stream } of records) {
    const lease = streams.get(streamText(stream))?.lease;
    const owner = lease?.granted === true ? (lease.owner ?? stream) : stream;
    for (const { scopeKind, scopeToken, incarnation, erasedAtAppend } of logged.record.parts) {
      if (scopeKind !== ScopeKind.SCOPE_KIND_PERSON || erasedAtAppend) continue;
      const person = { token: tokenFromBytes(scopeToken), incarnation };
      if (person.token === owner.token && incarnation === owner.incarnation) continue;
      const text = `${streamText(person)} ${streamText(stream)}`;
      counts.set(text, { person, stream, boxes: (counts.get(text)?.boxes ?? 0) + 1 });
    }
  }
  return [...counts.values()];
}
