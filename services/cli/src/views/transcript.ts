import type { Person } from '@lethe/proto/gen/lethe/people/v1/person.ts';
import {
  priorityToJSON,
  ticketStatusToJSON,
  type Priority,
  type TicketStatus,
} from '@lethe/proto/gen/lethe/tickets/v1/enums.ts';
import type { TicketEvent } from '@lethe/proto/gen/lethe/tickets/v1/events.ts';
import type { TranscriptEntry } from '@lethe/proto/gen/lethe/tickets/v1/service.ts';
import { enumWord } from '../output/enum-word.ts';
import type { Style } from '../output/style.ts';
import { wrapText } from '../output/wrap.ts';
import type { Terminal } from '../surroundings.ts';

/** Stands where something was and can never be read again. */
export const erasedMark = '[erased]';

/** What one line of a transcript shows. */
export interface TranscriptLine {
  /** Minutes, UTC. */
  readonly moment: string;
  /** Who did it; empty when no person did. */
  readonly who: string;
  readonly what: string;
  /** What was written; empty when nothing was. */
  readonly text: string;
}

type AnyEvent = NonNullable<TicketEvent['event']>;

/** The entry in words; erased parts show as such. */
export function transcriptLine(entry: TranscriptEntry): TranscriptLine {
  const moment = entry.occurredAt?.toISOString().slice(0, 16).replace('T', ' ') ?? '';
  const event = entry.event?.event;
  const isContentErased = entry.erasedParts.includes('content');
  return {
    moment,
    who: whoOf(event, entry.erasedParts),
    what: event === undefined ? wordsOf(entry.type) : whatOf(event),
    text: isContentErased ? erasedMark : textOf(event),
  };
}

/** The people that may have acted, the acting one first. */
const actorParts = ['author', 'agent', 'requester', 'subject'] as const;

function whoOf(event: AnyEvent | undefined, erasedParts: readonly string[]): string {
  const parts: Readonly<Record<string, unknown>> = { ...event?.value };
  for (const part of actorParts) {
    if (erasedParts.includes(part)) return erasedMark;
    const person = parts[part];
    if (isPerson(person)) return person.displayName || person.name || person.naturalId;
  }
  return '';
}

function isPerson(part: unknown): part is Person {
  return typeof part === 'object' && part !== null && 'naturalId' in part;
}

function whatOf(event: AnyEvent): string {
  if (event.$case === 'messageAdded')
    return event.value.facts?.isPublic === false ? 'internal note' : 'public reply';
  if (event.$case === 'statusChanged') {
    const { previousStatus = 0, status = 0 } = event.value.facts ?? {};
    return `status ${statusWord(previousStatus)} → ${statusWord(status)}`;
  }
  if (event.$case === 'priorityChanged') {
    const { previousPriority = 0, priority = 0 } = event.value.facts ?? {};
    return `priority ${priorityWord(previousPriority)} → ${priorityWord(priority)}`;
  }
  if (event.$case === 'csatGiven') return `satisfaction ${event.value.facts?.csat ?? '?'} of 5`;
  if (event.$case === 'sentimentScored')
    return `sentiment ${event.value.facts?.sentiment ?? '?'} of 100`;
  return wordsOf(event.$case);
}

/** "slaApplied" and "SlaApplied" to "sla applied". */
function wordsOf(name: string): string {
  return name.replaceAll(/(?<!^)([A-Z])/g, ' $1').toLowerCase();
}

function textOf(event: AnyEvent | undefined): string {
  if (event === undefined || !('content' in event.value) || event.value.content === undefined)
    return '';
  const content: Readonly<Record<string, unknown>> = { ...event.value.content };
  const texts = ['subject', 'body', 'note', 'comment', 'text', 'resolution', 'group'].map(
    (name) => content[name],
  );
  return texts.filter((text) => typeof text === 'string' && text !== '').join(' — ');
}

export function statusWord(status: TicketStatus): string {
  return enumWord(ticketStatusToJSON(status), 'TICKET_STATUS_');
}

export function priorityWord(priority: Priority): string {
  return enumWord(priorityToJSON(priority), 'PRIORITY_');
}

/** What fits beside the indentation; very wide lines are hard to read. */
export function textWidth({ columns }: Terminal): number {
  return Math.min(100, Math.max(40, columns - 8));
}

/** How much of a transcript to show. */
export interface TranscriptWish {
  /** Only entries in which something was written. */
  readonly onlyWords?: boolean;
  /** Texts are broken into lines of at most this many characters. */
  readonly widthMax: number;
  /** Longer texts are cut. */
  readonly linesMax?: number;
}

export function transcriptText(
  entries: readonly TranscriptEntry[],
  style: Style,
  wish: TranscriptWish,
): string {
  const lines = entries.map((entry) => transcriptLine(entry));
  const shown = wish.onlyWords === true ? lines.filter(({ text }) => text !== '') : lines;
  return shown
    .map(({ moment, who, what, text }) => {
      const actor = who === '' ? '' : `  ${mark(who, style)}`;
      const body = wrapText(text, wish.widthMax, wish.linesMax).map(
        (line) => `      ${mark(line, style)}\n`,
      );
      return `  ${style.dim(moment)}  ${style.bold(what)}${actor}\n${body.join('')}`;
    })
    .join('');
}

function mark(text: string, style: Style): string {
  return text.replaceAll(erasedMark, style.red(erasedMark));
}
