import { createKeyClient } from '@lethe/platform/key-client/key-client.ts';
import type { KeyClient } from '@lethe/platform/key-client/port.ts';
import type { EventStoreSchema } from '@lethe/platform/event-store/tables.ts';
import { type Scope, scopeText, type TenantId } from '@lethe/platform/ids/ids.ts';
import { systemClock } from '@lethe/platform/lifecycle/clock.ts';
import { createLogger } from '@lethe/platform/log/logger.ts';
import { parseScope } from '@lethe/platform/sealing/scope-wire.ts';
import { entriesOf } from '@lethe/platform/testing/test-event-log.ts';
import { Record as LogRecord, type SealedPart } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import { PrivacyEvent } from '@lethe/proto/gen/lethe/privacy/v1/events.ts';
import type { ComposedSystem } from './composed-system.ts';

/** A part whose data key the keys service still gives out. */
export interface ReadablePart {
  readonly scope: Scope;
  readonly incarnation: number;
  /** Of a ticket: whose it is, as `person/<token>` and incarnation. */
  readonly owner: { readonly scope: string; readonly incarnation: number } | undefined;
}

export interface FoundParts {
  /** How many boxes of persons and tickets were looked at. */
  readonly looked: number;
  readonly readable: readonly ReadablePart[];
}

/** Every box of the tenant's tickets on the log and in the read model, tried with a lease of its own. */
export async function findReadableParts(
  system: ComposedSystem,
  keys: KeyClient,
  tenantId: TenantId,
): Promise<FoundParts> {
  const records = [...(await onTheLog(system)), ...(await inTheReadModel(system))];
  const boxes = new Map<string, SealedPart>();
  for (const { header, parts } of records) {
    if (header?.tenantId !== tenantId) continue;
    for (const part of parts) {
      const scope = parseScope(part.scopeKind, part.scopeToken);
      if (scope === undefined || scope.kind === 'facts' || part.box.length === 0) continue;
      boxes.set(`${scopeText(scope)} ${part.incarnation} ${part.box.toString('hex', 1, 17)}`, part);
    }
  }
  return { looked: boxes.size, readable: await tryAll(keys, tenantId, [...boxes.values()]) };
}

/**
 * Whoever looks keeps its leases as every holder does: one for the whole suite, since keys must wait for the leases
 * of a holder that went away.
 */
export function createLooker(system: ComposedSystem): KeyClient {
  return createKeyClient({
    peer: system.gates.network.peersFor('tickets')('keys'),
    holderId: 'the-one-who-looks',
    clock: systemClock,
    logger: createLogger({ service: 'test', level: 'silent' }),
  });
}

async function tryAll(
  keys: KeyClient,
  tenantId: TenantId,
  parts: readonly SealedPart[],
): Promise<readonly ReadablePart[]> {
  const requests = parts.flatMap(({ scopeKind, scopeToken, incarnation, box }) => {
    const scope = parseScope(scopeKind, scopeToken);
    return scope === undefined ? [] : [{ scope, incarnation, keyId: box.subarray(1, 17) }];
  });
  const leases = await keys.leaseForOpen(tenantId, requests);
  return leases.flatMap((lease) => {
    if (!lease.granted) {
      // A box whose key is unknown would be lost data, not erased data.
      if (lease.status !== 'erased') throw new Error(`a box answers ${lease.status}`);
      return [];
    }
    const { scope, incarnation, owner } = lease;
    const ownedBy = owner && { ...owner, scope: `person/${owner.token}` };
    return [{ scope, incarnation, owner: ownedBy }];
  });
}

async function onTheLog(system: ComposedSystem): Promise<readonly LogRecord[]> {
  const partitions = await entriesOf(system.eventLog, 'tickets.v1');
  return partitions
    .flat()
    .flatMap((entry) => (entry.kind === 'record' ? [LogRecord.decode(entry.value)] : []));
}

async function inTheReadModel(system: ComposedSystem): Promise<readonly LogRecord[]> {
  const db = system.schemaOf<EventStoreSchema>('tickets');
  const rows = await db.selectFrom('records').select('record').execute();
  return rows.map(({ record }) => LogRecord.decode(record));
}

/** The highest fenced incarnation of each scope of the tenant, by `scopeText`, as privacy.v1 tells it. */
export async function fencedScopes(
  system: ComposedSystem,
  tenantId: TenantId,
): Promise<ReadonlyMap<string, number>> {
  const fenced = new Map<string, number>();
  for (const entry of (await entriesOf(system.eventLog, 'privacy.v1')).flat()) {
    if (entry.kind !== 'record') continue;
    const record = LogRecord.decode(entry.value);
    if (record.header?.tenantId !== tenantId) continue;
    const { event } = PrivacyEvent.decode(record.clearPayload);
    if (event?.$case !== 'scopesErased') continue;
    for (const { kind, token, incarnation } of event.value.scopes) {
      const scope = parseScope(kind, token);
      if (scope === undefined) throw new Error('a fenced scope has no form');
      const name = scopeText(scope);
      fenced.set(name, Math.max(incarnation, fenced.get(name) ?? 0));
    }
  }
  return fenced;
}
