import {
  TicketServiceService,
  type TranscriptEntry,
} from '@lethe/proto/gen/lethe/tickets/v1/service.ts';
import { CallError } from '../calls/call-error.ts';
import { explain } from '../failures/explain.ts';
import { erasedMark, textWidth, transcriptLine, transcriptText } from '../views/transcript.ts';
import type { Tour } from './tour.ts';
import type { Showcase } from './showcase.ts';

/** What the transcript answered: its entries, or that there is nothing to read any more. */
export type ShownTranscript =
  | { readonly kind: 'entries'; readonly entries: readonly TranscriptEntry[] }
  | { readonly kind: 'refused'; readonly reason: string };

/** Prints what can be read of the ticket. */
export async function showTranscript(
  { session, surroundings: { terminal } }: Tour,
  { tenantId, ticketId }: Showcase,
): Promise<ShownTranscript> {
  const reader = session.as({ tenantId, roles: ['reader'] });
  const ticket = { $case: 'ticketId', value: ticketId } as const;
  try {
    const { entries } = await reader.unary(TicketServiceService.getTranscript, { ticket });
    const wish = { onlyWords: true, widthMax: textWidth(terminal), linesMax: 3 };
    terminal.out(transcriptText(entries, terminal.outStyle, wish));
    return { kind: 'entries', entries };
  } catch (error) {
    if (!(error instanceof CallError) || error.details.reason === undefined) throw error;
    const { what, reason = '' } = explain(error);
    terminal.out(
      `  ${terminal.outStyle.red(erasedMark)} ${what}  ${terminal.outStyle.dim(reason)}\n`,
    );
    return { kind: 'refused', reason };
  }
}

/** No word and no name is left: what an erasure promises, looked at from outside. */
export function isUnreadable(shown: ShownTranscript): boolean {
  if (shown.kind === 'refused') return shown.reason === 'TICKET_ERASED';
  return shown.entries.every((entry) => {
    const { who, text } = transcriptLine(entry);
    return [who, text].every((words) => words === '' || words === erasedMark);
  });
}
