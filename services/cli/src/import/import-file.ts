import { stat } from 'node:fs/promises';
import {
  TicketServiceService,
  type NewTicketEvent,
  type StreamTicketEventsRequest,
} from '@lethe/proto/gen/lethe/tickets/v1/service.ts';
import { createTallyKeeper, type AppendTally } from '../calls/append-tally.ts';
import { sendBatches } from '../calls/batch-stream.ts';
import type { Caller, Session } from '../connection/session.ts';
import { formatCount, formatRate } from '../output/numbers.ts';
import { startProgress, waitText } from '../output/progress.ts';
import type { Surroundings } from '../surroundings.ts';
import { eventsOfRow, type IncidentState } from './incident.ts';
import { columnsOf, type Mapping } from './mapping.ts';
import { createRowParser } from './parse-row.ts';
import { readRows, type BadRow, type SourceRow } from './read-rows.ts';

/** Events in one message, unless the rows are long. */
const batchEvents = 200;
const batchBytes = 512 * 1024;
const inFlightMax = 4;
/**
 * Incidents whose latest row is remembered. An older one that appears again would be opened again: the server answers
 * "conflict" or "duplicate" to that, so nothing is counted twice.
 */
const incidentsMax = 100_000;

export interface ImportResult {
  readonly rows: number;
  readonly badRows: number;
  /** The first of them; the rest is only counted, so that memory stays bounded. */
  readonly firstBadRows: readonly BadRow[];
  readonly tally: AppendTally;
  readonly tookMs: number;
}

const badRowsShownMax = 100;

/** A message with the line that each of its events came from. */
interface ImportMessage extends StreamTicketEventsRequest {
  readonly lines: readonly number[];
}

/** Streams the file into the tenant's tickets. */
export async function importFile(
  session: Session,
  writer: Caller,
  file: string,
  mapping: Mapping,
  surroundings: Surroundings,
): Promise<ImportResult> {
  const { clock, terminal } = surroundings;
  const { size } = await stat(file);
  const startedMs = clock.monotonicMs();
  const keeper = createTallyKeeper();
  const progress = startProgress(terminal, {
    title: 'Importing',
    total: Math.max(1, size),
    showsCount: false,
  });
  const reading = { rows: 0, bytes: 0, badRows: 0, firstBadRows: [] as BadRow[] };
  const onBadRow = (row: BadRow) => {
    reading.badRows += 1;
    if (reading.firstBadRows.length < badRowsShownMax) reading.firstBadRows.push(row);
  };
  const countRow = (row: SourceRow) => {
    reading.rows += 1;
    // The separators between the columns are bytes too.
    reading.bytes += row.sizeBytes + Object.keys(row.values).length;
  };
  try {
    await sendBatches({
      channel: session.channel,
      method: TicketServiceService.streamTicketEvents,
      accessToken: async () => await writer.accessToken(),
      messages: readMessages(file, mapping, onBadRow, countRow),
      inFlightMax,
      means: session.means,
      onAskedToWait: (wait) => progress.waiting(waitText(wait)),
      onAcknowledged: ({ lines }, { results }) => {
        keeper.add(results, (index) => `line ${lines[index] ?? 0}`);
        const rate = formatRate(keeper.total(), clock.monotonicMs() - startedMs);
        progress.update(
          Math.min(reading.bytes, size),
          `${formatCount(keeper.total())} events, ${rate}`,
        );
      },
    });
  } catch (error) {
    progress.abandon();
    throw error;
  }
  const tookMs = clock.monotonicMs() - startedMs;
  progress.finish(`${formatCount(keeper.total())} events at ${formatRate(keeper.total(), tookMs)}`);
  const { rows, badRows, firstBadRows } = reading;
  return { rows, badRows, firstBadRows, tally: keeper.tally(), tookMs };
}

async function* readMessages(
  file: string,
  mapping: Mapping,
  onBadRow: (row: BadRow) => void,
  onRow: (row: SourceRow) => void,
): AsyncGenerator<ImportMessage> {
  const parseRow = createRowParser(mapping);
  const incidents = createIncidentMemory();
  let events: NewTicketEvent[] = [];
  let lines: number[] = [];
  let bytes = 0;
  for await (const source of readRows(file, columnsOf(mapping), onBadRow)) {
    onRow(source);
    const verdict = parseRow(source);
    if (verdict.kind === 'bad') {
      onBadRow({ line: source.line, reason: verdict.reason });
      continue;
    }
    const { row } = verdict;
    const next = eventsOfRow(mapping, row, incidents.recall(row.ticketId));
    incidents.remember(row.ticketId, next.state);
    events.push(...next.events);
    lines.push(...next.events.map(() => source.line));
    bytes += source.sizeBytes * next.events.length;
    if (events.length >= batchEvents || bytes >= batchBytes) {
      yield { events, lines };
      [events, lines, bytes] = [[], [], 0];
    }
  }
  if (events.length > 0) yield { events, lines };
}

/** The latest state of the incidents seen last; the longest untouched one goes first. */
function createIncidentMemory() {
  const states = new Map<string, IncidentState>();
  return {
    recall: (ticketId: string) => states.get(ticketId),
    remember: (ticketId: string, state: IncidentState) => {
      states.delete(ticketId);
      states.set(ticketId, state);
      const [oldest] = states.keys();
      if (states.size > incidentsMax && oldest !== undefined) states.delete(oldest);
    },
  };
}
