import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Grain } from '@lethe/proto/gen/lethe/analytics/v1/service.ts';
import { TicketServiceService } from '@lethe/proto/gen/lethe/tickets/v1/service.ts';
import { mintOf } from '../harness/access-tokens.ts';
import { CallFailure, openApi, type Api } from '../harness/api.ts';
import { figuresComplete, queryMetric } from '../harness/figures.ts';
import { incidentCsv, journeyRows, type IncidentRow } from '../harness/incident-file.ts';
import { jsonLine, runLethe, saidError, type LetheResult } from '../harness/lethe.ts';
import { touredWorld, touredWorldTimeoutMs, type TouredWorld } from '../harness/toured-world.ts';

const tenant = 'import-town';

/** Counts by day and what they are counted by. */
type Counts = Record<string, number>;

interface DailyCounts {
  readonly created: Counts;
  readonly transitions: Counts;
  readonly solved: Counts;
}

/** As docs/import.md has it, and from nowhere else. */
const statuses: Readonly<Record<string, string>> = {
  New: 'new',
  Active: 'open',
  'In Progress': 'open',
  'Awaiting User Info': 'pending',
  'Awaiting Problem': 'hold',
  'Awaiting Vendor': 'hold',
  'On Hold': 'hold',
  Resolved: 'solved',
  Closed: 'closed',
  Canceled: 'closed',
};
const priorities: Readonly<Record<string, string>> = {
  '1 - Critical': 'urgent',
  '2 - High': 'high',
  '3 - Moderate': 'normal',
  '4 - Low': 'low',
};

function momentOf(text: string): number {
  const [day = '', time = ''] = text.split(' ');
  return Date.parse(`${day.split('-').toReversed().join('-')}T${time}:00Z`);
}

const dayOf = (atMs: number) => new Date(atMs).toISOString().slice(0, 10);

/** What the figures must be, computed from the rows alone. */
function countRows(rows: readonly IncidentRow[]): DailyCounts {
  const counts: DailyCounts = { created: {}, transitions: {}, solved: {} };
  const add = (into: Counts, name: string) => (into[name] = (into[name] ?? 0) + 1);
  const known = new Map<string, { status: string; atMs: number }>();
  for (const row of rows) {
    const openedMs = momentOf(row.opened_at);
    const priority = priorities[row.priority] ?? '';
    const before = known.get(row.number) ?? { status: 'new', atMs: openedMs };
    if (!known.has(row.number)) add(counts.created, `${dayOf(openedMs)} ${priority}`);
    const atMs = Math.max(before.atMs, momentOf(row.sys_updated_at));
    const status = statuses[row.incident_state] ?? before.status;
    const day = dayOf(atMs);
    if (status !== before.status) {
      add(counts.transitions, `${day} ${before.status} ${status} ${priority}`);
      const isDone = (word: string) => word === 'solved' || word === 'closed';
      if (isDone(status) && !isDone(before.status)) add(counts.solved, `${day} ${priority}`);
    }
    known.set(row.number, { status, atMs });
  }
  return counts;
}

async function askCounts(api: Api, token: string): Promise<DailyCounts> {
  const ask = async (metricId: string, dimensions: readonly string[]): Promise<Counts> => {
    const grain = Grain.GRAIN_DAY;
    const { rows } = await queryMetric(api, token, { metricId, grain, dimensions });
    return Object.fromEntries(
      rows
        .filter(({ exact }) => exact > 0n)
        .map(({ bucket, dimensions: values, exact }) => {
          const by = dimensions.map((name) => values.find((value) => value.dimension === name));
          const day = dayOf(bucket?.getTime() ?? 0);
          return [[day, ...by.map((found) => found?.value)].join(' '), Number(exact)];
        }),
    );
  };
  await figuresComplete(api, token, Grain.GRAIN_TOTAL);
  return {
    created: await ask('created', ['priority']),
    transitions: await ask('status_changes', ['previous_status', 'status', 'priority']),
    solved: await ask('solved', ['priority']),
  };
}

interface ImportResult {
  readonly rows: number;
  readonly badRows: number;
  readonly firstBadRows: readonly { readonly line: number; readonly reason: string }[];
  readonly tally: { readonly counts: Readonly<Record<string, number>> };
}

describe('lethe import', function () {
  this.timeout(60_000);
  const rows = journeyRows();
  const expected = countRows(rows);
  let world: TouredWorld;
  let api: Api;
  let token = '';
  before(async function () {
    this.timeout(touredWorldTimeoutMs);
    world = await touredWorld();
    api = openApi((await world.server()).address);
    token = mintOf(world.dataFolder).mint({ tenant, roles: ['reader'] });
    const registered = await lethe('tenant', 'register', tenant);
    assert.equal(registered.exitCode, 0, registered.stderr);
  });
  after(() => api.close());

  const lethe = async (...args: readonly string[]): Promise<LetheResult> =>
    await runLethe(world.keeper, [...args, '--data', world.dataFolder]);
  const importText = async (text: string, ...more: readonly string[]): Promise<LetheResult> => {
    const file = join(world.folder, 'incidents.csv');
    writeFileSync(file, text);
    const mapping = ['--mapping', 'servicenow-incidents', '--tenant', tenant];
    return await lethe('import', file, ...mapping, ...more);
  };

  it('counts what an independent computation from the file counts, day by day', async () => {
    const result = await importText(incidentCsv(rows), '--json');
    assert.equal(result.exitCode, 0, result.stderr);
    const { rows: read, tally } = jsonLine<ImportResult>(result);
    assert.equal(read, rows.length);
    assert.equal(tally.counts['conflict'], 0);
    assert.deepEqual(await askCounts(api, token), expected);
    assert.ok(Object.keys(expected.transitions).length > 100);
    assert.ok(Object.keys(expected.solved).length > 20);
  });

  it('adds nothing the second time, and says so', async () => {
    const second = await importText(incidentCsv(rows));
    assert.equal(second.exitCode, 0, second.stderr);
    assert.match(second.stdout, /Nothing was added\./);
    assert.doesNotMatch(second.stdout, /accepted/);
    assert.deepEqual(await askCounts(api, token), expected);
  });

  it('reports bad rows by line and rule without their values, and takes the rest', async () => {
    const [sample] = rows;
    assert.ok(sample !== undefined);
    const good = { ...sample, number: 'INC9000001', incident_state: 'New' };
    const secret = 'a value that nobody may read';
    const bad = [
      { ...good, number: 'INC9000002', sys_updated_at: `31-02-2024 ${secret}` },
      { ...good, number: 'INC9000003', incident_state: secret },
      { ...good, number: '?', caller_id: secret },
      `INC9000004,${secret}`,
    ];
    const result = await importText(incidentCsv([good, ...bad, good]), '--json');
    assert.equal(result.exitCode, 1);
    const { badRows, firstBadRows, tally } = jsonLine<ImportResult>(result);
    assert.equal(badRows, bad.length);
    assert.deepEqual(
      firstBadRows.map(({ line }) => line),
      [3, 4, 5, 6],
    );
    const reasons = firstBadRows.map(({ reason }) => reason).join('\n');
    for (const rule of [
      /sys_updated_at: must be/,
      /incident_state: /,
      /number: is missing/,
      /columns/,
    ]) {
      assert.match(reasons, rule);
    }
    assert.ok(!`${result.stdout}${result.stderr}`.includes(secret));
    assert.ok((tally.counts['accepted'] ?? 0) > 0);
    const unread = await lethe('ticket', 'show', 'INC9000003', '--tenant', tenant, '--json');
    assert.equal(saidError(unread).reason, 'TICKET_UNKNOWN');
    const allowed = await importText(incidentCsv([good, ...bad]), '--allow-bad-rows');
    assert.equal(allowed.exitCode, 0);
  });

  it('refuses a file without the mapping’s columns before anything is sent', async () => {
    const result = await importText('number,priority\nINC9000005,3 - Moderate\n');
    assert.equal(result.exitCode, 2);
    assert.match(result.stderr, /incident_state/);
  });

  describe('and then the erasure of one caller', () => {
    const [caller = ''] = rows.map(({ caller_id }) => caller_id).filter((id) => id !== '?');
    const incidents = [
      ...new Set(rows.filter((row) => row.caller_id === caller).map((row) => row.number)),
    ];
    const other = rows.find((row) => row.caller_id !== caller && row.caller_id !== '?');
    let counted: DailyCounts;
    before(async () => {
      counted = await askCounts(api, token);
      const person = ['--person', caller, '--ground', 'objection', '--yes', '--watch'];
      const erased = await lethe('erase', '--tenant', tenant, ...person, '--json');
      assert.equal(erased.exitCode, 0, erased.stderr);
    });

    it('leaves all counts as they were', async () => {
      assert.deepEqual(await askCounts(api, token), counted);
    });

    it('leaves the caller’s incidents unreadable, and those of others readable', async () => {
      assert.ok(incidents.length > 1);
      for (const incident of incidents) {
        const ticket = { $case: 'ticketId', value: incident } as const;
        await assert.rejects(
          api.unary(TicketServiceService.getTranscript, { ticket }, token),
          (error: unknown) => error instanceof CallFailure && error.reason === 'TICKET_ERASED',
        );
      }
      const [first = ''] = incidents;
      const refused = await lethe('ticket', 'show', first, '--tenant', tenant, '--json');
      assert.equal(refused.exitCode, 1);
      assert.equal(saidError(refused).reason, 'TICKET_ERASED');
      const shown = await lethe('ticket', 'show', other?.number ?? '', '--tenant', tenant);
      assert.equal(shown.exitCode, 0, shown.stderr);
      assert.ok(shown.stdout.includes(other?.caller_id ?? ' '));
    });

    it('is not undone by another import', async () => {
      const again = await importText(incidentCsv(rows));
      assert.equal(again.exitCode, 0, again.stderr);
      assert.match(again.stdout, /Nothing was added\./);
      assert.match(again.stdout, /erased/);
      assert.deepEqual(await askCounts(api, token), counted);
    });
  });
});
