import { cellChangesOf } from '@lethe/analytics/domain/contributions.ts';
import { hourOf } from '@lethe/analytics/domain/time-buckets.ts';
import { columnsOf } from '@lethe/analytics/domain/fold.ts';
import type { AnyTicketEvent, TicketState } from '@lethe/tickets/domain/state.ts';
import { encodeTicketEvent } from '@lethe/tickets/ticket-events.ts';
import { decide } from '@lethe/tickets/ticket.ts';
import { occurredAtMsOf, ticketEventOf, type WishedEvent } from '../world/commands.ts';
import type { Evidence } from './evidence.ts';
import { must } from './law-broken.ts';
import type { ObservedRecord } from './observed.ts';

const known = 'every record on the log is an event that somebody asked for';
const exact = 'ledger cells are what a naive fold of all events gives';

/**
 * Folds every ticket by itself, from what clients wished for, in memory and without any of the machinery: no chunks,
 * no checkpoints, no SQL. Events that were erased later are among them, as totals keep them. Cell columns by
 * `<family> <tenant> <hour> <codes> <column>`.
 */
export function checkLedger(evidence: Evidence): void {
  const expected = new Map<string, bigint>();
  const wishes = wishesById(evidence);
  for (const [name, records] of evidence.observed.byStream) {
    if (name.startsWith('tickets.v1')) foldTicket(records, wishes, expected);
  }
  const found = new Map<string, bigint>();
  for (const [family, lines] of evidence.ledger.lines()) {
    for (const line of lines) addLine(found, family, line);
  }
  const names = new Set([...expected.keys(), ...found.keys()]);
  for (const name of names) {
    const [here = 0n, there = 0n] = [found.get(name), expected.get(name)];
    must(here === there, exact, () => `${name}: the ledger has ${here}, the naive fold ${there}`);
  }
}

function wishesById({ told }: Evidence): ReadonlyMap<string, readonly WishedEvent[]> {
  const wishes = new Map<string, WishedEvent[]>();
  for (const { tenant, wished, result } of told.answers) {
    const id = `${tenant} ${result.eventId}`;
    wishes.set(id, [...(wishes.get(id) ?? []), wished]);
  }
  return wishes;
}

function foldTicket(
  records: readonly ObservedRecord[],
  wishes: ReadonlyMap<string, readonly WishedEvent[]>,
  into: Map<string, bigint>,
): void {
  let state: TicketState | undefined;
  const derived: AnyTicketEvent[] = [];
  for (const { header, eventId } of records) {
    const occurredAtMs = Number(header.occurredAtMs);
    const milestone = derived.shift();
    if (milestone !== undefined) {
      count(header.tenantId, header.type, milestone, occurredAtMs, into);
      continue;
    }
    const wished = wishes
      .get(`${header.tenantId} ${eventId}`)
      ?.find((each) => occurredAtMsOf(each) === occurredAtMs);
    must(wished !== undefined, known, () => `${eventId}, a ${header.type}`);
    if (wished === undefined) continue;
    const decision = decide(state, { event: ticketEventOf(wished), occurredAtMs });
    must(decision.kind === 'decided', known, () => `${wished.source} is ${decision.kind}`);
    if (decision.kind !== 'decided') continue;
    count(header.tenantId, header.type, decision.event, occurredAtMs, into);
    derived.push(...decision.milestones);
    state = decision.state;
  }
  must(derived.length === 0, known, () => `${derived.length} milestones are not on the log`);
}

function count(
  tenantId: string,
  type: string,
  event: AnyTicketEvent,
  occurredAtMs: number,
  into: Map<string, bigint>,
): void {
  const { shape, eventBytes } = encodeTicketEvent(event);
  must(shape.type === type, known, () => `a ${type} where a ${shape.type} belongs`);
  for (const { layout, codes, adds } of cellChangesOf(shape.type, eventBytes)) {
    const { family } = layout;
    const perMeasure = 2 + family.release.grains.length;
    const columns = columnsOf(family);
    for (const { measure, amount } of adds) {
      const column = columns[measure * perMeasure] ?? '';
      const cell = `${family.name} ${tenantId} ${hourOf(occurredAtMs)} ${codes.join('.')} ${column}`;
      into.set(cell, (into.get(cell) ?? 0n) + amount);
    }
  }
}

function addLine(
  into: Map<string, bigint>,
  family: string,
  line: Readonly<Record<string, string>>,
): void {
  const { tenant_id: tenantId, hour, projection_version: _, manifest_id: __, ...rest } = line;
  const columns = Object.entries(rest);
  const codes = columns.filter(([name]) => !/^(exact|late|accepted)_/.test(name));
  const code = codes.map(([, value]) => value).join('.');
  for (const [name, value] of columns) {
    if (!name.startsWith('exact_') || value === '0') continue;
    const cell = `${family} ${tenantId} ${Number(hour) / 3600} ${code} ${name}`;
    into.set(cell, (into.get(cell) ?? 0n) + BigInt(value));
  }
}
