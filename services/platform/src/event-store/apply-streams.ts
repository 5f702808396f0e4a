import { type Record as LogRecord, ScopeKind } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import { type TenantId, tokenFromBytes } from '../ids/ids.ts';
import type { ApplyPorts, LoggedRecord, MendedStream } from './apply-parts.ts';
import { openAll } from './open-records.ts';
import { type StreamKey, type StreamRow, streamOfRow, streamText } from './streams.ts';

/**
 * The stream of a record. A record names the incarnation only where a part lies under the stream's own key; another
 * belongs to the newest incarnation that is known.
 */
export function streamKeyOf(
  { header, parts }: LogRecord,
  known: Iterable<StreamKey> = [],
): StreamKey {
  const token = tokenFromBytes(header?.streamToken ?? Buffer.alloc(0));
  const own = parts.find(
    ({ scopeKind, scopeToken }) =>
      scopeKind !== ScopeKind.SCOPE_KIND_FACTS && tokenFromBytes(scopeToken) === token,
  );
  if (own !== undefined) return { token, incarnation: own.incarnation };
  const incarnations = [...known].filter((key) => key.token === token);
  return { token, incarnation: Math.max(1, ...incarnations.map((key) => key.incarnation)) };
}

/** The streams of these records as the tables have them, opened, and those that the tables lack; by `streamText`. */
export async function loadStreams<Command, State>(
  ports: ApplyPorts<Command, State>,
  tenantId: TenantId,
  records: readonly LoggedRecord[],
): Promise<ReadonlyMap<string, MendedStream<State>>> {
  const rows = await rowsOf(ports, tenantId, records);
  const { family, keys } = ports;
  const requests =
    family.stateCodec === undefined
      ? []
      : rows.map(({ token }) => ({ scope: { kind: family.streamKind, token } as const }));
  const leases = requests.length === 0 ? [] : await keys.leaseForSeal(tenantId, requests);
  const streams = new Map<string, MendedStream<State>>();
  for (const [index, row] of rows.entries()) {
    const { token, incarnation, partition, position, openedAtMs, version } = row;
    const state = await stateOf(ports, tenantId, row);
    const facts = { key: { token, incarnation }, partition, position, openedAtMs, version, state };
    streams.set(streamText(row), { ...facts, lease: leases[index] });
  }
  return streams;
}

async function rowsOf<Command, State>(
  { db }: ApplyPorts<Command, State>,
  tenantId: TenantId,
  records: readonly LoggedRecord[],
): Promise<readonly StreamRow[]> {
  const tokens = [...new Set(records.map(({ record }) => streamKeyOf(record).token))];
  const found = await db
    .selectFrom('streams')
    .selectAll()
    .where('tenant_id', '=', tenantId)
    .where('token', 'in', tokens)
    .execute();
  const rows = new Map<string, StreamRow>();
  for (const row of found.map(streamOfRow)) rows.set(streamText(row), row);
  for (const { record, partition } of records) {
    const key = streamKeyOf(record, rows.values());
    const fresh = { ...key, partition, position: 0, openedAtMs: 0, version: 0, state: undefined };
    if (!rows.has(streamText(key))) rows.set(streamText(key), fresh);
  }
  return [...rows.values()];
}

async function stateOf<Command, State>(
  { family, keys }: ApplyPorts<Command, State>,
  tenantId: TenantId,
  stream: StreamRow,
): Promise<State | undefined> {
  const codec = family.stateCodec;
  if (codec === undefined || stream.state === undefined) return undefined;
  const scope = { kind: family.streamKind, token: stream.token } as const;
  const toOpen = { records: [], wants: () => false, states: [{ stream, scope }], codec };
  const { states } = await openAll(keys, tenantId, toOpen);
  const [state] = states;
  return state === 'erased' ? undefined : state;
}
