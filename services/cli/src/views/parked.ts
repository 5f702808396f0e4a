import {
  type ParkedEvent,
  type ReplayParkedStreamsResponse,
  ReplayState,
} from '@lethe/proto/gen/lethe/parking/v1/service.ts';
import { reasons } from '@lethe/proto/reasons.ts';
import type { FoundStream, ParkedAnswer, ParkedInAll } from '../calls/parked.ts';
import { jsonNumber } from '../output/json-number.ts';
import { formatCount, formatMoment, formatPlural } from '../output/numbers.ts';
import type { Style } from '../output/style.ts';
import { pairsText, tableText } from '../output/table.ts';

/** The streams, then what each reason means for whoever reads. */
export function parkedListText({ found, inAll }: ParkedAnswer, style: Style): string {
  if (inAll.every(({ streams }) => streams === 0n)) return 'Nothing is parked.\n';
  if (found.length === 0) {
    return `Nothing that fits is parked; ${inAllText(inAll)} in all. See them with \`lethe parked list\`.\n`;
  }
  const rows = found.map(({ service, stream }) => [
    service,
    tenantText(stream.ref?.tenantId ?? ''),
    stream.ref?.stream ?? '',
    `${stream.ref?.topic ?? ''}/${stream.ref?.partition ?? ''}`,
    style.yellow(stream.reason),
    formatCount(stream.firstSequence),
    formatCount(stream.events),
    formatMoment(stream.parkedAt),
  ]);
  const columns = [
    { title: 'service' },
    { title: 'tenant' },
    { title: 'stream' },
    { title: 'partition' },
    { title: 'reason' },
    { title: 'at', align: 'right' },
    { title: 'events', align: 'right' },
    { title: 'since' },
  ] as const;
  const met = [...new Set(found.map(({ stream }) => stream.reason))].toSorted();
  const words = met.map((reason) => reasonText(reason, style)).join('');
  const next = 'Once it is mended: `lethe parked replay STREAM`, or `lethe parked replay --all`.\n';
  return `${tableText(columns, rows, style)}\n${words}${next}`;
}

function reasonText(reason: string, style: Style): string {
  const entry = Object.entries(reasons).find(([name]) => name === reason)?.[1];
  return entry === undefined ? '' : `${style.bold(reason)}  ${entry.meaning}\n  ${entry.next}\n`;
}

function tenantText(tenantId: string): string {
  return tenantId === '' ? '(unreadable)' : tenantId;
}

/** "3 streams with 17 events (analytics), 1 stream with 2 events (predictions)". */
export function inAllText(inAll: readonly ParkedInAll[]): string {
  return inAll
    .filter(({ streams }) => streams > 0n)
    .map(
      ({ service, streams, events }) =>
        `${formatPlural(streams, 'stream')} with ${formatPlural(events, 'event')} (${service})`,
    )
    .join(', ');
}

/** The line of `status`; empty when nothing is parked. */
export function parkedStatusText(inAll: readonly ParkedInAll[], style: Style): string {
  const text = inAllText(inAll);
  if (text === '') return '';
  return `  ${style.yellow('parked')}  ${text}; what and why: \`lethe parked list\`\n`;
}

export function parkedListJson({ found, inAll }: ParkedAnswer): object {
  return {
    streams: found.map(streamJson),
    inAll: parkedInAllJson(inAll),
  };
}

export function parkedInAllJson(inAll: readonly ParkedInAll[]): readonly object[] {
  return inAll.map(({ service, streams, events }) => ({
    service,
    streams: jsonNumber(streams),
    events: jsonNumber(events),
  }));
}

function streamJson({ service, stream }: FoundStream): object {
  return {
    service,
    topic: stream.ref?.topic,
    partition: stream.ref?.partition,
    tenant: stream.ref?.tenantId,
    stream: stream.ref?.stream,
    reason: stream.reason,
    firstSequence: jsonNumber(stream.firstSequence),
    parkedAt: stream.parkedAt?.toISOString(),
    events: jsonNumber(stream.events),
    bytes: jsonNumber(stream.bytes),
  };
}

/** One stream and its events, in order. */
export function parkedStreamText(
  { service, stream }: FoundStream,
  events: readonly ParkedEvent[],
  style: Style,
): string {
  const { ref, reason, parkedAt, firstSequence } = stream;
  const head = pairsText(
    [
      ['stream', ref?.stream ?? ''],
      ['tenant', tenantText(ref?.tenantId ?? '')],
      ['parked by', service],
      ['partition', `${ref?.topic ?? ''}/${ref?.partition ?? ''}`],
      ['reason', `${style.yellow(reason)} at ${formatCount(firstSequence)}`],
      ['since', formatMoment(parkedAt)],
      ['waiting', `${formatPlural(stream.events, 'event')}, ${formatPlural(stream.bytes, 'byte')}`],
    ],
    style,
  );
  const rows = events.map((event) => [
    formatCount(event.sequence),
    event.type === '' ? '(unreadable)' : event.type,
    event.schemaVersion === 0 ? '' : String(event.schemaVersion),
    event.eventId,
    formatMoment(event.occurredAt),
    formatCount(event.bytes),
    event.reason,
  ]);
  const columns = [
    { title: 'sequence', align: 'right' },
    { title: 'type' },
    { title: 'version', align: 'right' },
    { title: 'event' },
    { title: 'occurred' },
    { title: 'bytes', align: 'right' },
    { title: 'reason' },
  ] as const;
  const more = stream.events - BigInt(events.length);
  const rest = more > 0n ? `  … and ${formatCount(more)} more; --events shows them\n` : '';
  return `${head}\n${tableText(columns, rows, style)}${rest}\n${reasonText(reason, style)}`;
}

export function parkedStreamJson(found: FoundStream, events: readonly ParkedEvent[]): object {
  return {
    ...streamJson(found),
    waiting: events.map((event) => ({
      sequence: jsonNumber(event.sequence),
      offset: jsonNumber(event.offset),
      event: event.eventId,
      type: event.type,
      schemaVersion: event.schemaVersion,
      occurredAt: event.occurredAt?.toISOString(),
      recordedAt: event.recordedAt?.toISOString(),
      parkedAt: event.parkedAt?.toISOString(),
      bytes: jsonNumber(event.bytes),
      reason: event.reason,
    })),
  };
}

const stateWords: ReadonlyMap<ReplayState, string> = new Map([
  [ReplayState.REPLAY_STATE_DONE, 'replayed'],
  [ReplayState.REPLAY_STATE_STILL_PARKED, 'still parked'],
  [ReplayState.REPLAY_STATE_NOT_PARKED, 'not parked any more'],
]);

/** How the replay of one stream ended. */
export interface ReplayEnd {
  readonly service: string;
  readonly last: ReplayParkedStreamsResponse;
}

export function replayText(ends: readonly ReplayEnd[], style: Style): string {
  if (ends.length === 0) return 'Nothing is parked.\n';
  const rows = ends.map(({ service, last }) => [
    service,
    tenantText(last.ref?.tenantId ?? ''),
    last.ref?.stream ?? '',
    stateText(last, style),
    formatCount(last.applied),
    last.reason === '' ? '' : `${last.reason} at ${formatCount(last.sequence)}`,
  ]);
  const columns = [
    { title: 'service' },
    { title: 'tenant' },
    { title: 'stream' },
    { title: '' },
    { title: 'applied', align: 'right' },
    { title: 'because of' },
  ] as const;
  const met = [...new Set(ends.flatMap(({ last }) => (last.reason === '' ? [] : [last.reason])))];
  const words = met
    .toSorted()
    .map((reason) => reasonText(reason, style))
    .join('');
  return tableText(columns, rows, style) + (words === '' ? '' : `\n${words}`);
}

function stateText({ state }: ReplayParkedStreamsResponse, style: Style): string {
  const word = stateWords.get(state) ?? 'not finished';
  return state === ReplayState.REPLAY_STATE_DONE ? style.green(word) : style.yellow(word);
}

export function replayJson(ends: readonly ReplayEnd[]): object {
  return {
    streams: ends.map(({ service, last }) => ({
      service,
      topic: last.ref?.topic,
      partition: last.ref?.partition,
      tenant: last.ref?.tenantId,
      stream: last.ref?.stream,
      state: (stateWords.get(last.state) ?? 'not finished').replaceAll(' ', '_'),
      applied: jsonNumber(last.applied),
      ...(last.reason === '' ? {} : { reason: last.reason, sequence: jsonNumber(last.sequence) }),
    })),
  };
}
