import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { sql } from 'kysely';
import type { Databases } from '@lethe/platform/database/databases.ts';
import { scopeText, type TenantId } from '@lethe/platform/ids/ids.ts';
import { isTransient } from '@lethe/platform/retry/is-transient.ts';
import { until } from '@lethe/platform/testing/until.ts';
import { AppendOutcome, type AppendResult } from '@lethe/proto/gen/lethe/log/v1/append.ts';
import { ErasureGround, ReturningPersons } from '@lethe/proto/gen/lethe/privacy/v1/enums.ts';
import {
  ErasureState,
  PrivacyServiceService,
  RegisterTenantRequest,
  RequestErasureRequest,
} from '@lethe/proto/gen/lethe/privacy/v1/service.ts';
import {
  type NewTicketEvent,
  TicketServiceService,
} from '@lethe/proto/gen/lethe/tickets/v1/service.ts';
import { message, newEvent, opened } from '@lethe/tickets/testing/sample-events.ts';
import type { ServiceName } from '@lethe/proto/access.ts';
import type { LocalPostgres } from '../../deploy/local/postgres.ts';
import { type ComposedSystem, startComposedSystem } from '../races/composed-system.ts';
import { createLooker, fencedScopes, findReadableParts } from '../races/readable-parts.ts';
import { databasesOn, openServer } from './local-postgres.ts';

/** Erasures under way at a time; two callers of each person append until it is answered. */
const atATime = 8;
const tenantId = 'fenced' as TenantId;

/** Tests of as many erasures as told, each while two callers append what the person is in; 0.25 s of a core per fence. */
export function fenceTests(fences: number): void {
  let server: LocalPostgres | undefined;
  let databases: Databases;
  let system: ComposedSystem;
  let repeated = 0;
  before(async function () {
    server = await openServer(false);
    if (server === undefined) this.skip();
    databases = databasesOn(server, 10);
    system = await startComposedSystem('fences', databases);
  });
  after(async () => {
    await system?.stop();
    await databases?.close();
    await server?.destroy();
  });

  /** As a client does: what did not get through is sent once more, and is a duplicate if it had. */
  const append = async (events: NewTicketEvent[]): Promise<AppendResult[]> => {
    const { appendTicketEvents } = TicketServiceService;
    try {
      return (await system.call('tickets', appendTicketEvents, { events }, tenantId)).results;
    } catch (error) {
      if (!isTransient(error)) throw error;
      repeated += 1;
      await delay(100);
      return await append(events);
    }
  };
  const erase = async (personId: string): Promise<string> => {
    const request = RequestErasureRequest.fromPartial({
      person: { $case: 'personId', value: personId },
      ground: ErasureGround.ERASURE_GROUND_CONSENT_WITHDRAWN,
    });
    const { requestErasure } = PrivacyServiceService;
    const { erasure } = await system.call('privacy', requestErasure, request, tenantId);
    assert.ok(erasure !== undefined);
    return erasure.erasureId;
  };
  /** Waits for one erasure after the other: looking at all of them all the time would be the load. */
  const reached = async (erasureIds: readonly string[], state: ErasureState): Promise<void> => {
    const { getErasure } = PrivacyServiceService;
    for (const erasureId of erasureIds) {
      await until(async () => {
        const { erasure } = await system.call('privacy', getErasure, { erasureId }, tenantId);
        if ((erasure?.state ?? 0) >= state) return true;
        await delay(50);
        return false;
      }, 120_000);
    }
  };

  /** Answers the erasure, the events accepted and those refused as erased. */
  const raceOne = async (place: number) => {
    const personId = `person-${place}`;
    const first = [newEvent(`T-${place}`, `first-${place}`, 0, opened(personId))];
    const outcomes = [...(await append(first))];
    const under = { way: true };
    const erasing = erase(personId).finally(() => {
      under.way = false;
    });
    const loop = async (name: string): Promise<void> => {
      // Once more after the answer: what comes then must be refused.
      for (let n = 0, last = false; !last; n += 1) {
        last = !under.way;
        const sourceId = `${place}-${name}-${n}`;
        outcomes.push(
          ...(await append([
            newEvent(`T-${place}`, `old-${sourceId}`, n + 1, message(personId, { kind: 1 })),
            newEvent(`T-${sourceId}`, `new-${sourceId}`, 0, opened(personId)),
          ])),
        );
        await delay(25);
      }
    };
    await Promise.all([loop('a'), loop('b')]);
    return { erasureId: await erasing, outcomes: outcomes.map(({ outcome }) => outcome) };
  };

  it('leave 0 readable boxes of a fenced incarnation, and no deadlock', async () => {
    const { registerTenant } = PrivacyServiceService;
    const returningPersons = ReturningPersons.RETURNING_PERSONS_REFUSE;
    const settings = { region: 'test', retentionDays: 400, returningPersons };
    const request = RegisterTenantRequest.fromPartial({ tenantId, settings });
    await system.call('privacy', registerTenant, request);
    await append([newEvent('kept', 'kept', 0, opened('a-person-who-stays'))]);
    await slowCommits('keys', 'data_keys');
    // Records stay until somebody has tried every box of theirs.
    const purge = system.gates.hold('tickets', 'Progress', 'request');

    const runs: Awaited<ReturnType<typeof raceOne>>[] = [];
    try {
      const places = Array.from({ length: fences }, (_, place) => place).values();
      const worker = async () => {
        for (const place of places) runs.push(await raceOne(place));
      };
      await Promise.all(Array.from({ length: atATime }, worker));
      const erasures = runs.map((run) => run.erasureId);
      await reached(erasures, ErasureState.ERASURE_STATE_UNREADABLE);
      await assertNothingReadable(fences * 2);
    } finally {
      purge.open();
    }

    const count = (wanted: AppendOutcome) =>
      runs.flatMap((run) => run.outcomes).filter((outcome) => outcome === wanted).length;
    const accepted = count(AppendOutcome.APPEND_OUTCOME_ACCEPTED);
    const refused = count(AppendOutcome.APPEND_OUTCOME_ERASED);
    assert.ok(accepted > fences && refused > 0, `${accepted} accepted, ${refused} refused: a race`);
    const said = `${fences} fences, ${accepted} appends before, ${refused} refused after`;
    console.log(`    ${said}, ${repeated} calls repeated`);
    const { rows } = await sql<{ deadlocks: bigint }>`
      select sum(deadlocks)::int8 as deadlocks from pg_stat_database`.execute(
      databases.database('last_look'),
    );
    assert.deepEqual(rows, [{ deadlocks: 0n }]);
  });

  /** Rows that are written stay unseen for a while: the time in which a fence that waits for nobody overtakes them. */
  async function slowCommits(service: ServiceName, table: string): Promise<void> {
    const db = system.schemaOf<unknown>(service);
    await sql`create function linger() returns trigger language plpgsql as
      'begin perform pg_sleep(0.01); return null; end'`.execute(db);
    await sql`create constraint trigger lingers after insert on ${sql.table(table)}
      deferrable initially deferred for each row execute function linger()`.execute(db);
  }

  async function assertNothingReadable(boxesMin: number): Promise<void> {
    const looker = createLooker(system);
    await looker.start();
    try {
      const fenced = await fencedScopes(system, tenantId);
      const persons = [...fenced.keys()].filter((scope) => scope.startsWith('person/'));
      assert.equal(persons.length, fences);
      const { looked, readable } = await findReadableParts(system, looker, tenantId);
      assert.ok(looked >= boxesMin, `only ${looked} boxes were there to try`);
      const broken = readable.filter(
        ({ scope, owner }) => fenced.has(scopeText(scope)) || fenced.has(owner?.scope ?? ''),
      );
      assert.deepEqual(broken, [], 'readable although fenced');
      assert.ok(readable.length > 0, 'the person who stays can be read');
      console.log(`    ${looked} boxes tried, ${readable.length} readable, 0 of them fenced`);
    } finally {
      await looker.stop();
    }
  }
}
