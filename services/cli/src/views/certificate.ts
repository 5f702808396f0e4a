import type { Certificate } from '../certificate/contents.ts';
import type { CertificateVerdict } from '../certificate/verify.ts';
import { formatCount, formatDuration, formatMoment, formatPlural } from '../output/numbers.ts';
import type { Style } from '../output/style.ts';
import { wrapText } from '../output/wrap.ts';
import { pairsText, tableText } from '../output/table.ts';

/** Each check with its answer; what it says only of a certificate whose signature holds. */
export function verdictText(
  { isValid, checks, certificate }: CertificateVerdict,
  style: Style,
): string {
  const title = isValid
    ? style.green('The certificate holds.')
    : style.red('The certificate does not hold.');
  const held = checks.filter(({ holds }) => holds).map(({ name }) => name);
  const broken = checks.filter(({ holds }) => !holds);
  const heldLine = held.length === 0 ? '' : `  ${style.green('✔')} ${held.join(', ')}\n`;
  const brokenLines = broken.map(
    ({ name, problem }) => `  ${style.red('✘')} ${name}: ${problem ?? ''}\n`,
  );
  return `${title}\n${heldLine}${brokenLines.join('')}${certificate === undefined ? '' : contentsText(certificate, style)}`;
}

function contentsText(certificate: Certificate, style: Style): string {
  const { clocks, scopes, requestedAt, fencedAt } = certificate;
  const pairs = [
    ['erasure', `${certificate.erasureId} of tenant ${certificate.tenantId}`],
    ['ground', certificate.ground],
    ['persons', certificate.persons.join(', ')],
    [
      'scopes',
      `${formatPlural(scopes.persons, 'person')}, ${formatPlural(scopes.tickets, 'ticket')}; ${formatPlural(certificate.keysDestroyed, 'data key')} destroyed`,
    ],
    ['requested', formatMoment(requestedAt)],
    [
      'unreadable',
      `${afterText(requestedAt, clocks.unreadable.at)}; promised within ${formatDuration(clocks.unreadable.boundMs)} of ${formatMoment(fencedAt)}`,
    ],
    ['purged', afterText(requestedAt, clocks.purged.at)],
    ['physically gone', `by ${formatMoment(clocks.physicallyGone.by)}`],
    ['issued', formatMoment(certificate.issuedAt)],
  ] as const;
  const caveats = certificate.caveats.map(({ text }) => caveatText(text, style)).join('');
  return pairsText(pairs, style) + receiptsTable(certificate, style) + caveats;
}

function caveatText(text: string, style: Style): string {
  const [first = '', ...rest] = wrapText(text, 92);
  return [`  ${style.yellow('!')} ${first}\n`, ...rest.map((line) => `    ${line}\n`)].join('');
}

function afterText(since: Date, at: Date): string {
  return `after ${formatDuration(at.getTime() - since.getTime())}`;
}

function receiptsTable({ receipts }: Certificate, style: Style): string {
  const columns = [
    { title: 'receipt of' },
    { title: 'records', align: 'right' },
    { title: 'rows', align: 'right' },
    { title: 'boxes unreadable', align: 'right' },
    { title: '' },
  ] as const;
  const rows = receipts.map((receipt) => [
    receipt.service,
    formatCount(receipt.recordsTombstoned),
    formatCount(receipt.rowsDeleted),
    formatCount(receipt.boxesUnreadable),
    receipt.ledgerComplete ? '' : style.yellow('the ledger may lack events'),
  ]);
  return tableText(columns, rows, style);
}
