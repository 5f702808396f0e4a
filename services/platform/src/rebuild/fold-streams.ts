import { isDeepStrictEqual } from 'node:util';
import { type Kysely, sql } from 'kysely';
import type { Record as LogRecord } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import { ServiceError } from '../errors/service-error.ts';
import type { EventFamily, StateCodec } from '../event-store/family.ts';
import { type OpenedRecord, openRecords } from '../event-store/open-records.ts';
import { streamText } from '../event-store/streams.ts';
import type { EventStoreSchema } from '../event-store/tables.ts';
import type { TenantId } from '../ids/ids.ts';
import type { HeldLease, KeyClient, LeaseRefusal } from '../key-client/port.ts';
import type { RandomBytes } from '../lifecycle/clock.ts';
import { poisonReasonOf } from '../parking/poison.ts';
import { openValue, sealValue } from '../sealing/value.ts';
import { noteStreamKeys } from './changed-rows.ts';
import { unconfirmed } from './derived-tables.ts';
import { addToFreshBoxes, type OthersBox } from './fresh-boxes.ts';
import { personParts } from './log-record.ts';
import type { RebuildRules } from './rules.ts';
import { isErased, leaseStates, leaseToSeal } from './state-leases.ts';
import { nextStreamPage, type StreamToFold } from './stream-pages.ts';

export interface FoldPorts<State> {
  readonly db: Kysely<EventStoreSchema>;
  readonly keys: KeyClient;
  readonly randomBytes: RandomBytes;
  readonly family: Pick<EventFamily<never, never>, 'streamKind'>;
  readonly codec: StateCodec<State>;
  readonly rules: RebuildRules<State>;
}

/** A stream's state as its records say it; `erased` when nobody can read it any more. */
interface FoldedStream<State> {
  readonly stream: StreamToFold;
  readonly state: State | 'erased';
}

/** A lease that runs out in the middle of a page is asked for again this often. */
const attemptsMax = 3;

/**
 * Folds every stream of the fresh tables from its records and compares what comes out with the live state, both opened.
 * Where they are equal the fresh row takes the live one's box: it holds the same, and a box sealed anew could not be
 * compared. Where they are not, it stays without state, which shows when rows are compared. Nothing is decrypted to
 * disk, and no more than a page is in memory.
 */
export async function foldStreams<State>(
  ports: FoldPorts<State>,
  onPage: (streams: number) => Promise<void>,
): Promise<void> {
  let page = await nextStreamPage(ports.db, 'all', undefined);
  while (page.length > 0) {
    await whileLeased(async () => confirmPage(ports, page));
    await onPage(page.length);
    page = await nextStreamPage(ports.db, 'all', page.at(-1));
  }
}

/**
 * Seals the states that could not be confirmed, so that a swap which accepts differences puts the log's word in their
 * place. Its version is above the live one's: a box is bound to it.
 */
export async function sealUnconfirmed<State>(ports: FoldPorts<State>): Promise<void> {
  let page = await nextStreamPage(ports.db, 'unconfirmed', undefined);
  while (page.length > 0) {
    await whileLeased(async () => sealPage(ports, page));
    page = await nextStreamPage(ports.db, 'unconfirmed', page.at(-1));
  }
}

async function whileLeased(work: () => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await work();
      return;
    } catch (error) {
      const isLate =
        error instanceof ServiceError &&
        (error.reason === 'LEASE_EXPIRED' || error.reason === 'LEASE_CLAIM_EXHAUSTED');
      if (!isLate || attempt === attemptsMax) throw error;
    }
  }
}

async function confirmPage<State>(
  ports: FoldPorts<State>,
  page: readonly StreamToFold[],
): Promise<void> {
  const states: StateRow[] = [];
  const unreadable: StreamToFold[] = [];
  const boxes: OthersBox[] = [];
  for (const [tenantId, streams] of byTenant(page)) {
    const leases = await leaseStates(ports, tenantId, streams);
    for (const { stream, state } of await foldAll(ports, tenantId, streams)) {
      const lease = leases.get(streamText(stream));
      if (state === 'erased' || lease === undefined || isErased(lease)) {
        unreadable.push(stream);
        continue;
      }
      states.push(confirmedState(ports.codec, stream, lease, state));
      const owner = lease.granted ? lease.owner : undefined;
      boxes.push(...othersBoxes(stream, owner ?? stream));
    }
  }
  // No live row is touched; a death in between leaves work that the next start removes.
  await ports.db.transaction().execute(async (tx) => {
    await storeStates(tx, states);
    await addToFreshBoxes(tx, boxes);
    await noteStreamKeys(tx, unreadable);
  });
}

function byTenant(page: readonly StreamToFold[]): ReadonlyMap<TenantId, readonly StreamToFold[]> {
  return Map.groupBy(page, ({ tenantId }) => tenantId);
}

/** Opens what the fold needs of each record, and folds. */
async function foldAll<State>(
  { keys, rules }: FoldPorts<State>,
  tenantId: TenantId,
  streams: readonly StreamToFold[],
): Promise<readonly FoldedStream<State>[]> {
  const all = streams.flatMap(({ records }) => records);
  const observed = streams.flatMap((stream) => stream.observed ?? []);
  const isDeep = ({ header }: { readonly header?: { readonly type: string } | undefined }) =>
    rules.contentTypes.has(header?.type ?? '');
  const opened = new Map<unknown, OpenedRecord>();
  const openInto = async (records: readonly LogRecord[], withContent: boolean): Promise<void> => {
    if (records.length === 0) return;
    const wants = (kind: string) => kind === 'facts' || (withContent && kind === 'content');
    for (const one of await openRecords(keys, tenantId, records, wants))
      opened.set(one.record, one);
  };
  await openInto(
    all.filter((record) => !isDeep(record)),
    false,
  );
  await openInto(all.filter(isDeep), true);
  await openOrLeave(observed, async (records) => openInto(records, false));
  return streams.map((stream) => ({ stream, state: foldOne(rules, stream, opened) }));
}

/** Of another owner's records, those that cannot be opened stay closed: their streams are taken over as they stand. */
async function openOrLeave(
  records: readonly LogRecord[],
  open: (records: readonly LogRecord[]) => Promise<void>,
): Promise<void> {
  try {
    await open(records);
  } catch (error) {
    if (poisonReasonOf(error) === undefined) throw error;
    if (records.length < 2) return;
    for (const record of records) await openOrLeave([record], open);
  }
}

function foldOne<State>(
  rules: RebuildRules<State>,
  stream: StreamToFold,
  opened: ReadonlyMap<unknown, OpenedRecord>,
): State | 'erased' {
  let state: State | undefined;
  for (const [index, record] of stream.records.entries()) {
    const one = opened.get(record);
    // A position that erasure took, or facts that went with their tenant: what is left does not make the state.
    if (one === undefined || Number(one.position) !== index + 1) return 'erased';
    if (one.erasedParts.some((part) => part === 'facts' || part === 'content')) return 'erased';
    state = rules.fold(state, one);
  }
  if (stream.observed !== undefined && rules.observed !== undefined) {
    const seen = opened.get(stream.observed);
    if (seen === undefined || seen.erasedParts.length > 0) return 'erased';
    state = rules.observed.fold(state, seen);
  }
  return state ?? 'erased';
}

/** The live box when it holds what was folded. The version is no news: how events came in batches is not on the log. */
function confirmedState<State>(
  codec: StateCodec<State>,
  stream: StreamToFold,
  lease: HeldLease | LeaseRefusal,
  folded: State,
): StateRow {
  const { tenantId, token, incarnation, live } = stream;
  const state = isConfirmed(codec, stream, lease, folded) ? live?.state : undefined;
  return { tenantId, token, incarnation, version: live?.version ?? 0, state: state ?? unconfirmed };
}

function isConfirmed<State>(
  codec: StateCodec<State>,
  { tenantId, live, token }: StreamToFold,
  lease: HeldLease | LeaseRefusal,
  state: State,
): boolean {
  if (live?.state === undefined || !lease.granted) return false;
  const binding = { tenantId, name: codec.name, streamToken: token, version: live.version };
  try {
    const known = codec.decode(openValue(lease, binding, live.state));
    return isDeepStrictEqual(known, codec.decode(codec.encode(state)));
  } catch (error) {
    // A box that was changed, or moved here from elsewhere, is a row that differs. Anything else is not the row's.
    if (error instanceof ServiceError && error.reason === 'TAMPERED') return false;
    throw error;
  }
}

function othersBoxes(stream: StreamToFold, owner: { token: string; incarnation: number }) {
  const { tenantId, token, incarnation } = stream;
  return stream.records.flatMap((record) =>
    personParts(record)
      .filter((person) => person.token !== owner.token || person.incarnation !== owner.incarnation)
      .map((person): OthersBox => ({ tenantId, person, stream: { token, incarnation } })),
  );
}

interface StateRow {
  readonly tenantId: TenantId;
  readonly token: string;
  readonly incarnation: number;
  readonly version: number;
  readonly state: Buffer;
}

async function storeStates(db: Kysely<EventStoreSchema>, rows: readonly StateRow[]): Promise<void> {
  if (rows.length === 0) return;
  await sql`
    update rebuild_streams as fresh set version = given.version, state = given.state
    from unnest(${rows.map((row) => row.tenantId)}::text[], ${rows.map((row) => row.token)}::text[],
      ${rows.map((row) => row.incarnation)}::int4[], ${rows.map((row) => row.version)}::int8[],
      ${rows.map((row) => row.state)}::bytea[])
      as given (tenant_id, token, incarnation, version, state)
    where fresh.tenant_id = given.tenant_id and fresh.token = given.token
      and fresh.incarnation = given.incarnation`.execute(db);
}

async function sealPage<State>(
  ports: FoldPorts<State>,
  page: readonly StreamToFold[],
): Promise<void> {
  const { codec, randomBytes, db } = ports;
  const sealed: StateRow[] = [];
  const unreadable: StreamToFold[] = [];
  for (const [tenantId, streams] of byTenant(page)) {
    const folded = await foldAll(ports, tenantId, streams);
    const leases = await leaseToSeal(ports, tenantId, streams);
    for (const { stream, state } of folded) {
      const lease = leases.get(streamText(stream));
      if (state === 'erased' || lease?.granted !== true) {
        unreadable.push(stream);
        continue;
      }
      const { token, incarnation } = stream;
      const version = (stream.live?.version ?? 0) + 1;
      const binding = { tenantId, name: codec.name, streamToken: token, version };
      const box = sealValue(lease, binding, codec.encode(state), randomBytes);
      sealed.push({ tenantId, token, incarnation, version, state: box });
    }
  }
  await storeStates(db, sealed);
  await noteStreamKeys(db, unreadable);
}
