import {
  ErasureState,
  erasureStateToJSON,
  type Erasure,
  type ErasurePreview,
} from '@lethe/proto/gen/lethe/privacy/v1/service.ts';
import { erasureGroundToJSON } from '@lethe/proto/gen/lethe/privacy/v1/enums.ts';
import { enumWord } from '../output/enum-word.ts';
import { formatCount, formatDuration, formatMoment, formatPlural } from '../output/numbers.ts';
import type { Style } from '../output/style.ts';
import { pairsText, tableText } from '../output/table.ts';

export function stateWord(state: ErasureState): string {
  return enumWord(erasureStateToJSON(state), 'ERASURE_STATE_');
}

export function isCompleted(erasure: Erasure): boolean {
  return erasure.state === ErasureState.ERASURE_STATE_COMPLETED;
}

/** What would go, by service. */
export function previewText(preview: ErasurePreview, style: Style): string {
  const columns = [
    { title: 'service' },
    { title: 'records', align: 'right' },
    { title: 'rows', align: 'right' },
    { title: 'boxes unreadable', align: 'right' },
    { title: 'keys', align: 'right' },
  ] as const;
  const rows = preview.services.map(({ service, records, rows: count, boxesUnreadable, keys }) => [
    service,
    ...[records, count, boxesUnreadable, keys].map((value) => formatCount(value)),
  ]);
  const people = preview.personTokens.map((token) => `  person ${token}\n`).join('');
  const tickets = `  with ${formatPlural(preview.tickets, 'ticket')} of their own\n`;
  return `${people}${tickets}${tableText(columns, rows, style)}`;
}

/** The three clocks, each with the time since the request; never one "done". */
export function clocksText(erasure: Erasure, style: Style): string {
  const { requestedAt, unreadableAt, purgedAt, physicallyGoneBy } = erasure;
  return pairsText(
    [
      ['requested', formatMoment(requestedAt)],
      ['unreadable', clockText(requestedAt, unreadableAt, style)],
      ['purged', clockText(requestedAt, purgedAt, style)],
      [
        'physically gone',
        physicallyGoneBy === undefined
          ? style.yellow('not yet known')
          : `by ${formatMoment(physicallyGoneBy)}`,
      ],
    ],
    style,
  );
}

function clockText(since: Date | undefined, at: Date | undefined, style: Style): string {
  if (at === undefined || since === undefined) return style.yellow('not yet');
  const tookMs = at.getTime() - since.getTime();
  return `${style.green('✔')} after ${formatDuration(tookMs)}  ${style.dim(formatMoment(at))}`;
}

/** Everything about one erasure. */
export function erasureText(erasure: Erasure, style: Style): string {
  const ground = enumWord(erasureGroundToJSON(erasure.ground), 'ERASURE_GROUND_');
  const head = `${style.bold(erasure.erasureId)}  ${stateWord(erasure.state)}  ${style.dim(`ground: ${ground}`)}\n`;
  const counts = `  ${formatPlural(erasure.personTokens.length, 'person')}, ${formatPlural(erasure.tickets, 'ticket')}, ${formatPlural(erasure.keysDestroyed, 'data key')} destroyed
`;
  return head + counts + clocksText(erasure, style) + receiptsText(erasure, style);
}

/** Who has stated what, and who has not yet. */
export function receiptsText(erasure: Erasure, style: Style): string {
  if (erasure.obligedServices.length === 0) return '';
  const rows = erasure.obligedServices.map((service) => {
    const receipt = erasure.receipts.find((candidate) => candidate.service === service);
    if (receipt === undefined) return [service, '', '', '', style.yellow('not yet')];
    const { records, rows: count, boxesUnreadable, ledgerComplete } = receipt;
    const remark = ledgerComplete ? '' : style.yellow('the ledger may lack events');
    return [
      service,
      ...[records, count, boxesUnreadable].map((value) => formatCount(value)),
      remark,
    ];
  });
  const columns = [
    { title: 'receipt of' },
    { title: 'records', align: 'right' },
    { title: 'rows', align: 'right' },
    { title: 'boxes unreadable', align: 'right' },
    { title: '' },
  ] as const;
  return tableText(columns, rows, style);
}

/** One line for each change that a watcher sees. */
export function changeLine(before: Erasure | undefined, now: Erasure): string | undefined {
  if (before === undefined || before.state !== now.state) return stateWord(now.state);
  const known = new Set(before.receipts.map(({ service }) => service));
  const fresh = now.receipts
    .filter(({ service }) => !known.has(service))
    .map(({ service }) => service);
  return fresh.length === 0 ? undefined : `receipt of ${fresh.join(', ')}`;
}
