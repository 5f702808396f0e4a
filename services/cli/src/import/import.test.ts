import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { status } from '@grpc/grpc-js';
import { Priority, TicketStatus } from '@lethe/proto/gen/lethe/tickets/v1/enums.ts';
import type { NewTicketEvent } from '@lethe/proto/gen/lethe/tickets/v1/service.ts';
import { runCaptured } from '../testing/captured.ts';
import { startFakeServer, type FakeServer } from '../testing/fake-server.ts';
import { createFakeTickets } from '../testing/fake-tickets.ts';
import { createDateParser } from './source-date.ts';
import type { ImportResult } from './import-file.ts';

const header =
  'number,incident_state,sys_mod_count,caller_id,opened_by,opened_at,sys_updated_at,contact_type,location,category,subcategory,u_symptom,cmdb_ci,priority,assignment_group,assigned_to,closed_code,resolved_by';

interface Row {
  readonly number: string;
  readonly state: string;
  readonly revision: string;
  readonly at: string;
  readonly caller?: string;
  readonly opened?: string;
  readonly contact?: string;
  readonly category?: string;
  readonly priority?: string;
  readonly group?: string;
  readonly assignee?: string;
}

function line(row: Row): string {
  const {
    number,
    state,
    revision,
    at,
    caller = 'Caller 7',
    opened = '01-03-2024 08:00',
    contact = 'Phone',
  } = row;
  const { category = 'Category 5', priority = '3 - Moderate', group = '?', assignee = '?' } = row;
  return [
    number,
    state,
    revision,
    caller,
    'Opened by 4',
    opened,
    at,
    contact,
    'Location 9',
    category,
    'Subcategory 2',
    '?',
    '?',
    priority,
    group,
    assignee,
    'code 6',
    'Resolved by 3',
  ].join(',');
}

const life: readonly Row[] = [
  { number: 'INC1', state: 'New', revision: '0', at: '01-03-2024 08:10' },
  {
    number: 'INC1',
    state: 'Active',
    revision: '1',
    at: '01-03-2024 09:00',
    group: 'Group 1',
    assignee: 'Resolver 5',
  },
  {
    number: 'INC1',
    state: 'Active',
    revision: '2',
    at: '01-03-2024 09:05',
    group: 'Group 1',
    assignee: '?',
  },
  {
    number: 'INC1',
    state: 'Awaiting User Info',
    revision: '3',
    at: '02-03-2024 10:00',
    priority: '2 - High',
    group: 'Group 1',
  },
  { number: 'INC1', state: '-100', revision: '4', at: '02-03-2024 11:00', priority: '2 - High' },
  {
    number: 'INC1',
    state: 'Resolved',
    revision: '5',
    at: '03-03-2024 12:00',
    priority: '2 - High',
  },
  { number: 'INC1', state: 'Closed', revision: '6', at: '08-03-2024 12:00', priority: '2 - High' },
];

const fileOf = (rows: readonly (Row | string)[]) =>
  `${[header, ...rows.map((row) => (typeof row === 'string' ? row : line(row)))].join('\n')}\n`;

function briefly({ occurredAt, event }: NewTicketEvent): string {
  const what = event?.event;
  const at = occurredAt?.toISOString().slice(0, 16) ?? '';
  if (what?.$case === 'statusChanged') {
    const { previousStatus, status: now } = what.value.facts ?? {};
    return `${at} status ${previousStatus} ${now}`;
  }
  if (what?.$case === 'priorityChanged') {
    return `${at} priority ${what.value.facts?.previousPriority} ${what.value.facts?.priority}`;
  }
  return `${at} ${what?.$case}`;
}

describe('lethe import', () => {
  let folder = '';
  let server: FakeServer;
  let tickets: ReturnType<typeof createFakeTickets>;
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'lethe-import-'));
    tickets = createFakeTickets();
    server = await startFakeServer([tickets.service]);
  });
  afterEach(async () => {
    server.stop();
    await rm(folder, { recursive: true });
  });

  const importText = async (text: string, ...more: readonly string[]) => {
    const file = path.join(folder, 'incidents.csv');
    await writeFile(file, text);
    const connection = ['--server', server.address, '--token', 'any'];
    return await runCaptured([
      'import',
      file,
      '--mapping',
      'servicenow-incidents',
      ...connection,
      ...more,
    ]);
  };
  const resultOf = ({ out }: { readonly out: string }) => JSON.parse(out) as ImportResult;
  const {
    TICKET_STATUS_NEW: isNew,
    TICKET_STATUS_OPEN: isOpen,
    TICKET_STATUS_PENDING: isPending,
  } = TicketStatus;
  const {
    TICKET_STATUS_SOLVED: isSolved,
    TICKET_STATUS_CLOSED: isClosed,
    TICKET_STATUS_HOLD: isHold,
  } = TicketStatus;

  it('makes one event of each change, in order, and none of what is unknown', async () => {
    const { exitCode } = await importText(fileOf(life));
    assert.equal(exitCode, 0);
    const { PRIORITY_NORMAL, PRIORITY_HIGH } = Priority;
    assert.deepEqual(tickets.received.map(briefly), [
      '2024-03-01T08:00 ticketOpened',
      '2024-03-01T09:00 groupChanged',
      '2024-03-01T09:00 assigned',
      `2024-03-01T09:00 status ${isNew} ${isOpen}`,
      `2024-03-02T10:00 priority ${PRIORITY_NORMAL} ${PRIORITY_HIGH}`,
      `2024-03-02T10:00 status ${isOpen} ${isPending}`,
      `2024-03-03T12:00 status ${isPending} ${isSolved}`,
      `2024-03-08T12:00 status ${isSolved} ${isClosed}`,
    ]);
  });

  it('opens as new what is first seen later in its life, and believes the order of the rows about time', async () => {
    const rows: readonly Row[] = [
      { number: 'INC2', state: 'Awaiting Problem', revision: '3', at: '01-03-2024 07:00' },
      { number: 'INC2', state: 'Active', revision: '4', at: '01-03-2024 06:00' },
    ];
    await importText(fileOf(rows));
    assert.deepEqual(tickets.received.map(briefly), [
      '2024-03-01T08:00 ticketOpened',
      `2024-03-01T08:00 status ${isNew} ${isHold}`,
      `2024-03-01T08:00 status ${isHold} ${isOpen}`,
    ]);
  });

  it('names people, keeps the words of the source as content, and lets an unknown caller be nobody else', async () => {
    await importText(
      fileOf([
        { number: 'INC3', state: 'New', revision: '0', at: '01-03-2024 08:10', caller: '?' },
      ]),
    );
    const opened = tickets.received[0]?.event?.event;
    assert.ok(opened?.$case === 'ticketOpened');
    assert.equal(opened.value.requester?.naturalId, 'unknown caller of INC3');
    assert.equal(opened.value.agent?.naturalId, 'Opened by 4');
    const fields = opened.value.content?.customFields.map(({ name }) => name);
    assert.deepEqual(fields, ['category', 'subcategory', 'location']);
  });

  it('adds nothing the second time, and says so', async () => {
    const first = resultOf(await importText(fileOf(life), '--json'));
    assert.deepEqual([first.tally.counts.accepted, first.tally.counts.duplicate], [8, 0]);
    const second = await importText(fileOf(life));
    assert.equal(second.exitCode, 0);
    assert.match(second.out, /8 duplicate\nNothing was added\./);
    assert.equal(tickets.stored.size, 8);
  });

  it('gives rows that share a revision ids of their own', async () => {
    const rows: readonly Row[] = [
      { number: 'INC4', state: 'New', revision: '2', at: '01-03-2024 08:10', group: 'Group 1' },
      { number: 'INC4', state: 'New', revision: '2', at: '01-03-2024 09:10', group: 'Group 2' },
    ];
    const { tally } = resultOf(await importText(fileOf(rows), '--json'));
    assert.equal(tally.counts.accepted, 3);
  });

  it('reports a bad row by line and rule without its values, and takes the rest', async () => {
    const [first, second] = life;
    assert.ok(first && second);
    const text = fileOf([
      first,
      { ...second, at: '31-02-2024 09:00' },
      { ...second, state: 'Dancing' },
      { ...second, contact: '?' },
      'too,few,columns',
      `${line({ ...second, number: 'INC"9' })}`,
      second,
    ]);
    const { exitCode, out } = await importText(text);
    assert.equal(exitCode, 1);
    assert.match(out, /5 bad rows/);
    assert.match(out, /line 3 {2}sys_updated_at: must be a date of the form d-m-Y H:M/);
    assert.match(out, /line 4 {2}incident_state: the mapping does not list this value/);
    assert.match(out, /line 5 {2}contact_type: is missing/);
    assert.match(out, /line 6 {2}has 3 columns, the header has 18/);
    assert.doesNotMatch(out, /Dancing|31-02|INC/);
    assert.equal(tickets.stored.size, 4);
    assert.equal((await importText(text, '--allow-bad-rows')).exitCode, 0);
  });

  it('reports a conflict by line', async () => {
    await importText(fileOf(life));
    const { exitCode, out } = await importText(
      fileOf(life.map((row) => ({ ...row, caller: 'Caller 8' }))),
    );
    assert.equal(exitCode, 1);
    assert.match(out, /line 2 {2}EVENT_CONFLICT/);
  });

  it('sends nothing when the header lacks columns', async () => {
    const { exitCode, err } = await importText('number,priority\nINC1,3 - Moderate\n');
    assert.equal(exitCode, 2);
    assert.match(err, /incident_state {2}is missing/);
    assert.match(err, /sys_updated_at {2}is missing/);
    assert.equal(tickets.received.length, 0);
    assert.equal((await importText('')).exitCode, 2);
  });

  it('goes on after a break and stores every event once', async () => {
    tickets.failNext({ code: status.UNAVAILABLE, message: 'Restarting.', reason: 'SHUTTING_DOWN' });
    const rows = Array.from({ length: 900 }, (_, index): Row => ({
      number: `INC${index}`,
      state: 'New',
      revision: '0',
      at: '01-03-2024 08:10',
    }));
    const { tally } = resultOf(await importText(fileOf(rows), '--json'));
    assert.equal(tickets.stored.size, 900);
    assert.equal(tally.counts.accepted + tally.counts.duplicate, 900);
  });

  it('takes a mapping of your own, and says what is wrong with it', async () => {
    const file = path.join(folder, 'mine.json');
    await writeFile(file, JSON.stringify({ name: 'Mine', unknown: ['?'] }));
    const csv = path.join(folder, 'incidents.csv');
    await writeFile(csv, fileOf(life));
    const { exitCode, err } = await runCaptured([
      'import',
      csv,
      '--mapping',
      file,
      '--server',
      server.address,
      '--token',
      'any',
    ]);
    assert.equal(exitCode, 2);
    assert.match(err, /name {2}must be lower-case letters/);
    assert.match(err, /ticketId {2}/);
  });
});

describe('dates of the source', () => {
  it('are read as their form says, in UTC', () => {
    const parse = createDateParser('d-m-Y H:M');
    assert.equal(parse('29-02-2016 01:16')?.toISOString(), '2016-02-29T01:16:00.000Z');
    assert.equal(parse('9-2-2016 1:06')?.toISOString(), '2016-02-09T01:06:00.000Z');
    assert.equal(
      createDateParser('Y/m/d')('2016/02/29')?.toISOString(),
      '2016-02-29T00:00:00.000Z',
    );
  });

  it('are refused when the calendar does not have them', () => {
    const parse = createDateParser('d-m-Y H:M');
    for (const text of [
      '30-02-2016 01:16',
      '29-02-2015 01:16',
      '01-13-2016 01:16',
      '01-01-2016 24:00',
      '2016-01-01 00:00',
      '?',
      '',
    ]) {
      assert.equal(parse(text), undefined, text);
    }
  });
});
