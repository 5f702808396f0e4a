import { createSeededRandom, type SeededRandom } from '@lethe/cli/generator/random.ts';

/** One row of a made-up export in ServiceNow's form, as far as the importer reads it. */
export interface IncidentRow {
  readonly number: string;
  readonly incident_state: string;
  readonly sys_mod_count: string;
  readonly caller_id: string;
  readonly opened_by: string;
  readonly opened_at: string;
  readonly sys_updated_at: string;
  readonly contact_type: string;
  readonly location: string;
  readonly category: string;
  readonly subcategory: string;
  readonly u_symptom: string;
  readonly cmdb_ci: string;
  readonly priority: string;
  readonly assignment_group: string;
  readonly assigned_to: string;
  readonly closed_code: string;
  readonly resolved_by: string;
}

const minuteMs = 60_000;
const firstDayMs = Date.UTC(2024, 1, 20);
/** Each as often as it stands here. */
const states =
  'New,Active,Active,In Progress,Awaiting User Info,Awaiting Problem,Awaiting Vendor,On Hold,-100,Resolved,Resolved,Closed,Canceled'.split(
    ',',
  );
const priorities = ['1 - Critical', '2 - High', '3 - Moderate', '3 - Moderate', '4 - Low'];

/** What the import journey imports. */
export function journeyRows(): readonly IncidentRow[] {
  return makeIncidentRows('import-journey', 120);
}

/** A made-up export: incidents interleaved as in life, reopened, contradicting themselves, with unknowns. */
function makeIncidentRows(seed: string, incidents: number): readonly IncidentRow[] {
  const random = createSeededRandom(seed);
  const waiting = Array.from({ length: incidents }, (_, index) => lifeOf(random, index + 1));
  const rows: IncidentRow[] = [];
  while (waiting.length > 0) {
    const index = random.integer(0, Math.min(9, waiting.length - 1));
    const next = waiting[index]?.shift();
    if (next === undefined) waiting.splice(index, 1);
    else rows.push(next);
  }
  return rows;
}

function lifeOf(random: SeededRandom, index: number): IncidentRow[] {
  const openedMs = firstDayMs + random.integer(0, 20 * 24 * 60) * minuteMs;
  const caller = `made-up caller ${random.integer(1, 25)}`;
  let atMs = openedMs;
  let priority = random.pick(priorities);
  return Array.from({ length: random.integer(1, 12) }, (_, change) => {
    // Now and then a row says a time before the one above it, or before the opening.
    atMs += random.integer(-300, 2_000) * minuteMs;
    if (random.chance(0.15)) priority = random.pick(priorities);
    const unknown = (text: string, probability: number) =>
      random.chance(probability) ? '?' : text;
    return {
      number: `INC${String(index).padStart(7, '0')}`,
      incident_state: change === 0 && random.chance(0.8) ? 'New' : random.pick(states),
      sys_mod_count: String(change),
      caller_id: index % 10 === 0 ? '?' : caller,
      opened_by: unknown(`made-up agent ${random.integer(1, 9)}`, 0.1),
      opened_at: sourceDate(openedMs),
      sys_updated_at: sourceDate(atMs),
      contact_type: random.pick(['Phone', 'Email', 'Self service', 'Chat']),
      location: unknown(`made-up location ${random.integer(1, 40)}`, 0.2),
      category: `Category ${random.integer(1, 12)}`,
      subcategory: unknown(`Subcategory ${random.integer(1, 40)}`, 0.2),
      u_symptom: '?',
      cmdb_ci: '?',
      priority,
      assignment_group: unknown(`Group ${random.integer(1, 6)}`, 0.3),
      assigned_to: unknown(`made-up agent ${random.integer(1, 9)}`, 0.3),
      closed_code: `code ${random.integer(1, 9)}`,
      resolved_by: unknown(`made-up agent ${random.integer(1, 9)}`, 0.2),
    };
  });
}

/** Day-month-year hour:minute. */
function sourceDate(atMs: number): string {
  const [day = '', time = ''] = new Date(atMs).toISOString().split('T');
  return `${day.split('-').toReversed().join('-')} ${time.slice(0, 5)}`;
}

/** The texts of the rows that are long enough to be searched for: none may be found outside of boxes. */
export function incidentTexts(rows: readonly IncidentRow[]): readonly string[] {
  const texts = rows.flatMap((row) => [
    row.caller_id,
    row.opened_by,
    row.assigned_to,
    row.location,
  ]);
  return Array.from(new Set(texts)).filter((text) => Buffer.byteLength(text) >= 16);
}

/** The file: a header, then the rows; a text is taken as a line of its own. */
export function incidentCsv(rows: readonly (IncidentRow | string)[]): string {
  const first = rows.find((row) => typeof row !== 'string');
  if (first === undefined) throw new RangeError('a file has at least one good row');
  const lines = rows.map((row) => (typeof row === 'string' ? row : Object.values(row).join(',')));
  return `${[Object.keys(first).join(','), ...lines].join('\n')}\n`;
}
