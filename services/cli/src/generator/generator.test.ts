import assert from 'node:assert/strict';
import fc from 'fast-check';
import { listCanaries } from './canaries.ts';
import { generatedEventJson, uuidV7Of } from './events.ts';
import {
  defaultHelpDesk,
  generateHelpDesk,
  type GeneratedTenant,
  type HelpDeskSettings,
} from './help-desk.ts';
import { addBusinessTime, businessTimeBetween, dayMs } from './working-time.ts';

const anchorMs = Date.UTC(2024, 7, 1);
const settings: HelpDeskSettings = { ...defaultHelpDesk, anchorMs };
const small: HelpDeskSettings = { ...settings, tenants: 3, days: 20, events: 600 };

function linesOf(wish: HelpDeskSettings): string[] {
  return [...generateHelpDesk(wish)].flatMap((tenant) =>
    eventsOf(tenant).map((event) => generatedEventJson(tenant.profile.tenantId, event)),
  );
}

function eventsOf({ tickets, usage }: GeneratedTenant) {
  return [
    ...tickets.flatMap(({ events }) =>
      events.map((event) => ({ family: 'tickets', event }) as const),
    ),
    ...tickets.flatMap(({ predictions }) =>
      predictions.map((event) => ({ family: 'predictions', event }) as const),
    ),
    ...usage.map((event) => ({ family: 'usage', event }) as const),
  ];
}

describe('the generated help desk', () => {
  let tenants: GeneratedTenant[] = [];
  before(() => {
    tenants = [...generateHelpDesk(settings)];
  });

  it('has twelve tenants and about 20,000 events of all three families', () => {
    assert.equal(new Set(tenants.map(({ profile }) => profile.tenantId)).size, 12);
    const families = tenants.flatMap((tenant) => eventsOf(tenant).map(({ family }) => family));
    assert.ok(families.length > 19_000 && families.length < 21_000, `${families.length} events`);
    for (const family of ['tickets', 'predictions', 'usage']) {
      const share = families.filter((candidate) => candidate === family).length / families.length;
      assert.ok(share > 0.05, `${family} is ${share} of all`);
    }
  });

  it('is the same for the same settings, and another for another seed or anchor', () => {
    assert.deepEqual(linesOf(small), linesOf(small));
    assert.notDeepEqual(linesOf(small), linesOf({ ...small, seed: 'other' }));
    assert.notDeepEqual(linesOf(small), linesOf({ ...small, anchorMs: anchorMs + dayMs }));
  });

  it('gives every event an id of its own', () => {
    for (const tenant of tenants) {
      const ids = eventsOf(tenant).map(
        ({ event }) => `${event.id?.$case ?? ''} ${event.id?.value ?? ''}`,
      );
      assert.equal(new Set(ids).size, ids.length);
    }
  });

  it('tells each ticket in the order of time, begins it with its opening, and stays within the days', () => {
    for (const { tickets, usage } of tenants) {
      for (const { events } of tickets) {
        assert.equal(events[0]?.event?.event?.$case, 'ticketOpened');
        const moments = events.map(({ occurredAt }) => occurredAt?.getTime() ?? 0);
        assert.deepEqual(
          moments,
          moments.toSorted((left, right) => left - right),
        );
      }
      const all = [
        ...tickets.flatMap(({ events, predictions }) => [...events, ...predictions]),
        ...usage,
      ];
      for (const { occurredAt } of all) {
        const atMs = occurredAt?.getTime() ?? 0;
        assert.ok(atMs >= anchorMs - settings.days * dayMs && atMs < anchorMs);
      }
    }
  });

  it('says nothing about a ticket before the ticket is open, and names causes that exist', () => {
    for (const { tickets } of tenants) {
      for (const { events, predictions } of tickets) {
        const openedAtMs = events[0]?.occurredAt?.getTime() ?? 0;
        const ids = new Set([...events, ...predictions].map(({ id }) => id?.value));
        for (const { occurredAt } of predictions)
          assert.ok((occurredAt?.getTime() ?? 0) > openedAtMs);
        for (const { causationId } of [...events, ...predictions]) {
          assert.ok(causationId === '' || ids.has(causationId));
        }
      }
    }
  });

  it('looks like a help desk: weekends are quiet, urgent is rare, most tickets get solved', () => {
    const opened = tenants.flatMap(({ tickets }) => tickets.map(({ events }) => events[0]));
    const weekend = opened.filter((event) =>
      [0, 6].includes(event?.occurredAt?.getUTCDay() ?? 0),
    ).length;
    assert.ok(weekend / opened.length < 0.2);
    const solved = tenants.flatMap(({ tickets }) =>
      tickets.filter(({ events }) =>
        events.some(
          ({ event }) =>
            event?.event?.$case === 'statusChanged' && event.event.value.facts?.status === 5,
        ),
      ),
    ).length;
    assert.ok(solved / opened.length > 0.7);
  });
});

describe('the canaries', () => {
  it('are long enough to prove something, occur in the events, and cover every kind', () => {
    const kinds = new Set<string>();
    for (const tenant of generateHelpDesk(small)) {
      const said = eventsOf(tenant)
        .map((event) => generatedEventJson(tenant.profile.tenantId, event))
        .join('\n');
      const people = JSON.stringify([tenant.agents, tenant.requesters], (_, value: unknown) =>
        typeof value === 'bigint' ? value.toString() : value,
      );
      const canaries = [...listCanaries(tenant)];
      for (const { kind, value } of canaries) {
        kinds.add(kind);
        assert.ok(Buffer.byteLength(value) >= 16, value);
        const plain = JSON.stringify(value).slice(1, -1);
        const isSaid = said.includes(plain) || people.includes(plain);
        assert.ok(isSaid || (kind === 'phone' && !value.includes(' ')), `${kind} ${value}`);
      }
      assert.equal(new Set(canaries.map(({ value }) => value)).size, canaries.length);
      for (const { profile, nationalId } of [...tenant.agents, ...tenant.requesters]) {
        for (const text of [
          profile.name,
          profile.email,
          profile.phone,
          profile.naturalId,
          nationalId,
        ]) {
          assert.ok(
            canaries.some(({ value }) => value === text),
            'a text of a person is no canary',
          );
        }
      }
    }
    const expected = ['email', 'name', 'national_id', 'person_id', 'phone', 'text', 'ticket_id'];
    assert.deepEqual([...kinds].toSorted(), expected);
  });

  it('have national ids in running text', () => {
    const [tenant] = [...generateHelpDesk(small)];
    const ids = tenant?.requesters.map(({ nationalId }) => nationalId) ?? [];
    const said = JSON.stringify(
      tenant?.tickets.map(({ events }) => events.map(({ event }) => event)),
      (_, value: unknown) => (typeof value === 'bigint' ? value.toString() : value),
    );
    assert.ok(ids.some((id) => said.includes(id)));
  });
});

describe('the pieces of the generator', () => {
  it('makes UUIDv7 that carry their time', () => {
    const id = uuidV7Of('label', Date.UTC(2024, 0, 1));
    assert.match(id, /^018cc251-f400-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.equal(id, uuidV7Of('label', Date.UTC(2024, 0, 1)));
  });

  it('measures as much business time as it adds', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 20 * dayMs }),
        fc.integer({ min: 0, max: 5 * dayMs }),
        fc.integer({ min: -11, max: 12 }),
        (offset, durationMs, utcOffsetH) => {
          const fromMs = anchorMs + offset;
          const toMs = addBusinessTime(fromMs, durationMs, utcOffsetH);
          return businessTimeBetween(fromMs, toMs, utcOffsetH) === durationMs;
        },
      ),
    );
  });
});
