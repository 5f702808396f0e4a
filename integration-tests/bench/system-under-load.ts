import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { ClickHouseClient } from '@clickhouse/client';
import { PGlite } from '@electric-sql/pglite';
import { type Kysely, sql } from 'kysely';
import { partitionName } from '@lethe/analytics/projection/partition-name.ts';
import { insertedSequences } from '@lethe/analytics/projection/sequences.ts';
import type { AnalyticsSchema } from '@lethe/analytics/store.ts';
import { sharedClickHouse } from '@lethe/analytics/testing/shared-clickhouse.ts';
import type { Databases } from '@lethe/platform/database/databases.ts';
import { createPgliteDatabases, pgliteOptions } from '@lethe/platform/database/pglite.ts';
import { createPgliteVacuum } from '@lethe/platform/database/pglite-vacuum.ts';
import type { EventStoreSchema } from '@lethe/platform/event-store/tables.ts';
import type { TenantId } from '@lethe/platform/ids/ids.ts';
import { systemClock } from '@lethe/platform/lifecycle/clock.ts';
import { createLogger } from '@lethe/platform/log/logger.ts';
import { AppendOutcome } from '@lethe/proto/gen/lethe/log/v1/append.ts';
import { ReturningPersons } from '@lethe/proto/gen/lethe/privacy/v1/enums.ts';
import {
  PrivacyServiceService,
  RegisterTenantRequest,
} from '@lethe/proto/gen/lethe/privacy/v1/service.ts';
import {
  type NewTicketEvent,
  TicketServiceService,
} from '@lethe/proto/gen/lethe/tickets/v1/service.ts';
import { topics } from '@lethe/proto/topics.ts';
import { messageAdded, newEvent, ticketOpened } from '../harness/ticket-events.ts';
import {
  type ComposedSystem,
  type GivenStores,
  startComposedSystem,
  type TelemetryOf,
} from '../races/composed-system.ts';
import {
  openRealClickHouse,
  openRealDatabases,
  openRealKms,
  openRealLog,
  type RealPlaces,
} from './real-places.ts';

/**
 * All six services in this process over PGlite, SQLite log and chdb on disk, or over real systems; calls go in without
 * a socket.
 */
export interface SystemUnderLoad {
  readonly system: ComposedSystem;
  readonly databases: Databases;
  readonly clickHouse: ClickHouseClient;
  /** A schema of the same database that no service uses, with a table `bare`, for baselines. */
  readonly bare: Kysely<BareSchema>;
  registerTenant(tenantId: TenantId): Promise<void>;
  /** Throws unless every event was accepted. */
  append(tenantId: TenantId, events: readonly NewTicketEvent[]): Promise<void>;
  /** Resolves once everything that was appended lies in the ledger. */
  drained(): Promise<void>;
  stop(): Promise<void>;
}

export interface BareSchema {
  bare: { value: Buffer };
}

interface Stores {
  readonly databases: Databases;
  readonly clickHouse: ClickHouseClient;
  /** Undefined: the system's own. */
  readonly given: GivenStores | undefined;
  close(): Promise<void>;
}

async function openEmbedded(): Promise<Stores> {
  const folder = mkdtempSync(join(tmpdir(), 'lethe-bench-pglite-'));
  const databases = createPgliteDatabases(await PGlite.create(folder, pgliteOptions));
  const logger = createLogger({ service: 'bench', level: 'silent' });
  const vacuum = createPgliteVacuum({ databases, clock: systemClock, logger });
  vacuum.start();
  return {
    databases,
    clickHouse: sharedClickHouse(),
    given: undefined,
    close: async () => {
      await vacuum.stop();
      await databases.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function openReal(real: RealPlaces): Promise<Stores> {
  const databases = openRealDatabases(real);
  const clickHouse = openRealClickHouse(real);
  const kms = await openRealKms(real);
  return {
    databases,
    clickHouse,
    given: {
      eventLog: await openRealLog(real, topics),
      clickHouse,
      kms,
      servers: { database: true, ledger: true },
      // Nobody held a lease before on a database that is new.
      env: {
        LETHE_KEYS_HOLDERS_END_WITH_PROCESS: 'true',
        LETHE_ANALYTICS_LEDGER_STATEMENTS_MAX: '1',
      },
    },
    close: async () => {
      await kms.close();
      await databases.close();
      await clickHouse.close();
    },
  };
}

export async function startSystemUnderLoad(
  name: string,
  real: RealPlaces | undefined,
  telemetryOf?: TelemetryOf,
): Promise<SystemUnderLoad> {
  const stores = real === undefined ? await openEmbedded() : await openReal(real);
  const { databases, clickHouse } = stores;
  const system = await startComposedSystem(name, databases, undefined, stores.given, telemetryOf);
  const bare = databases.database<BareSchema>('bare');
  await sql`create table bare (value bytea not null)`.execute(bare);
  await sql`alter table bare alter column value set storage external`.execute(bare);
  return {
    system,
    databases,
    clickHouse,
    bare,
    registerTenant: async (tenantId) => {
      const returningPersons = ReturningPersons.RETURNING_PERSONS_ALLOW;
      const settings = { region: 'test', retentionDays: 400, returningPersons };
      const request = RegisterTenantRequest.fromPartial({ tenantId, settings });
      await system.call('privacy', PrivacyServiceService.registerTenant, request);
    },
    append: async (tenantId, events) => {
      const { appendTicketEvents } = TicketServiceService;
      const request = { events: [...events] };
      const { results } = await system.call('tickets', appendTicketEvents, request, tenantId);
      const refused = results.find(
        ({ outcome }) => outcome !== AppendOutcome.APPEND_OUTCOME_ACCEPTED,
      );
      if (refused !== undefined) throw new Error(`an event was answered ${refused.outcome}`);
    },
    drained: async () => await drained(system),
    stop: async () => {
      await system.stop();
      await stores.close();
    },
  };
}

const lookEveryMs = 20;
const topic = 'tickets.v1';

async function drained(system: ComposedSystem): Promise<void> {
  const tickets = system.schemaOf<EventStoreSchema>('tickets');
  const ports = { db: system.schemaOf<AnalyticsSchema>('analytics'), eventLog: system.eventLog };
  for (;;) {
    const { rows: pending } = await sql`select 1 from outbox limit 1`.execute(tickets);
    if (pending.length === 0) {
      const { rows } = await sql<{ partition: number; last_sequence: bigint }>`
        select partition, last_sequence from partition_counters where topic = ${topic}`.execute(
        tickets,
      );
      const inserted = await insertedSequences(ports, [topic]);
      const isThere = rows.every(
        ({ partition, last_sequence: last }) =>
          (inserted.get(partitionName(topic, partition)) ?? 0n) >= last,
      );
      if (isThere) return;
    }
    await delay(lookEveryMs);
  }
}

/** About 900 bytes of a message that nobody wrote: an event of 1 KB. */
const body = 'A sentence of generated text that nobody wrote. '.repeat(19);
const messagesPerTicket = 4;

/** Events per ticket of `ticketsOfLoad`. */
export const eventsPerTicket = 1 + messagesPerTicket;

/** New tickets: each opened, then with agents' replies of 1 KB. Milestones come on top. */
export function ticketsOfLoad(name: string, tickets: number): readonly NewTicketEvent[] {
  return Array.from({ length: tickets }, (_, index) => {
    const ticketId = `${name}-${index}`;
    const openedAtMs = Date.now() - 60_000;
    return Array.from({ length: eventsPerTicket }, (__, nth) => {
      const event =
        nth === 0
          ? ticketOpened(`person-${name}-${index % 50}`, body)
          : messageAdded(body, `agent-${index % 20}`);
      return newEvent(ticketId, event, { occurredAt: new Date(openedAtMs + nth * 1_000) });
    });
  }).flat();
}
