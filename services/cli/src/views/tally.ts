import type { AppendTally } from '../calls/append-tally.ts';
import { formatCount } from '../output/numbers.ts';
import type { Style } from '../output/style.ts';

const shownMax = 10;

const labels = {
  accepted: 'accepted',
  duplicate: 'duplicate',
  erased: 'erased',
  conflict: 'in conflict',
  unknownTicket: 'of unknown tickets',
  invalid: 'invalid',
} as const;

/** "1,204 accepted, 3 duplicate": the answers that occurred at all. */
export function countsText({ counts }: AppendTally): string {
  const said = (
    ['accepted', 'duplicate', 'erased', 'conflict', 'unknownTicket', 'invalid'] as const
  )
    .filter((name) => counts[name] > 0)
    .map((name) => `${formatCount(counts[name])} ${labels[name]}`);
  return said.length === 0 ? 'no events' : said.join(', ');
}

/** The counts and the first problems, by place and rule. */
export function tallyText(tally: AppendTally, style: Style): string {
  const shown = tally.problems.slice(0, shownMax).map(({ place, reason, rules }) => {
    const why = rules.length === 0 ? '' : `  ${rules.join('; ')}`;
    return `  ${style.red('✘')} ${place}  ${reason}${why}\n`;
  });
  const hidden = tally.problemCount - shown.length;
  const more = hidden > 0 ? `  … and ${formatCount(hidden)} more\n` : '';
  return `${countsText(tally)}\n${shown.join('')}${more}`;
}
