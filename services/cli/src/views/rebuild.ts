import type { CopiedChunk, RebuildReport } from '@lethe/proto/gen/lethe/rebuild/v1/service.ts';
import { jsonNumber } from '../output/json-number.ts';
import { formatCount, formatDuration } from '../output/numbers.ts';
import type { Style } from '../output/style.ts';
import { pairsText, tableText } from '../output/table.ts';

/** Shown on a terminal; --json has all that the server named. */
const shownMax = 20;

export function rebuildJson(report: RebuildReport) {
  return {
    swapped: report.swapped,
    differences: jsonNumber(report.differences),
    tables: report.tables.map(({ name, liveRows, rebuiltRows, differingRows }) => ({
      name,
      liveRows: jsonNumber(liveRows),
      rebuiltRows: jsonNumber(rebuiltRows),
      differingRows: jsonNumber(differingRows),
    })),
    firstDifferences: report.firstDifferences,
    recordsRead: jsonNumber(report.recordsRead),
    streamsFolded: jsonNumber(report.streamsFolded),
    streamsUnderErasure: jsonNumber(report.streamsUnderErasure),
    changedMeanwhile: jsonNumber(report.rowsChangedMeanwhile),
    chunksRefolded: jsonNumber(report.chunksRefolded),
    chunksCopied: jsonNumber(report.chunksCopied),
    copiedChunks: report.copiedChunks.map(({ manifestId, why, ranges }) => ({
      manifestId,
      why,
      ranges: ranges.map(({ topic, partition, firstSequence, lastSequence, erased }) => ({
        topic,
        partition,
        firstSequence: jsonNumber(firstSequence),
        lastSequence: jsonNumber(lastSequence),
        erased: jsonNumber(erased),
      })),
    })),
    durationMs: jsonNumber(report.durationMs),
    exclusiveMs: jsonNumber(report.exclusiveMs),
  };
}

/** The report for people. */
export function rebuildText(
  what: string,
  report: RebuildReport,
  isCheck: boolean,
  style: Style,
): string {
  return [
    tablesText(report, style),
    '\n',
    pairsText(factsOf(what, report), style),
    differencesText(report, style),
    copiedText(report, style),
    `\n${verdict(what, report, isCheck, style)}\n`,
  ].join('');
}

function tablesText({ tables }: RebuildReport, style: Style): string {
  const columns = [
    { title: 'table' },
    { title: 'live rows', align: 'right' },
    { title: 'rebuilt rows', align: 'right' },
    { title: 'differing', align: 'right' },
  ] as const;
  const rows = tables.map(({ name, liveRows, rebuiltRows, differingRows }) => [
    name,
    formatCount(liveRows),
    formatCount(rebuiltRows),
    differingRows === 0n ? '0' : style.red(formatCount(differingRows)),
  ]);
  return tableText(columns, rows, style);
}

function factsOf(what: string, report: RebuildReport): readonly (readonly [string, string])[] {
  const isLedger = what === 'ledger';
  const changed = formatCount(report.rowsChangedMeanwhile);
  const facts: (readonly [string, string])[] = [
    ['records read', formatCount(report.recordsRead)],
    ...(isLedger
      ? ([
          ['chunks refolded', formatCount(report.chunksRefolded)],
          ['chunks copied by hash', formatCount(report.chunksCopied)],
          ['chunks that came meanwhile', changed],
        ] as const)
      : ([
          ['streams folded anew', formatCount(report.streamsFolded)],
          ['streams under erasure', formatCount(report.streamsUnderErasure)],
          ['rows that changed meanwhile', changed],
        ] as const)),
    ['took', formatDuration(Number(report.durationMs))],
  ];
  if (report.swapped) facts.push(['of it exclusively', formatDuration(Number(report.exclusiveMs))]);
  return facts;
}

function differencesText({ firstDifferences, differences }: RebuildReport, style: Style): string {
  if (firstDifferences.length === 0) return '';
  const shown = firstDifferences.slice(0, shownMax);
  const rows = shown.map(({ table, row, kind, columns }) => [
    table,
    row,
    columns.length === 0 ? kind : `${kind}: ${columns.join(', ')}`,
  ]);
  const title = style.bold(`Rows that differ: ${formatCount(differences)}`);
  return `\n${title}\n${tableText([{ title: 'table' }, { title: 'row' }, { title: 'how' }], rows, style)}${moreText(differences, shown.length)}`;
}

function moreText(count: bigint, shown: number): string {
  const more = count - BigInt(shown);
  return more > 0n ? `  … and ${formatCount(more)} more\n` : '';
}

function copiedText({ copiedChunks, chunksCopied }: RebuildReport, style: Style): string {
  if (copiedChunks.length === 0) return '';
  const shown = copiedChunks.slice(0, shownMax);
  const rows = shown.map((chunk) => [chunk.manifestId, chunk.why, rangesText(chunk)]);
  const columns = [{ title: 'chunk' }, { title: 'why' }, { title: 'erased of its sequences' }];
  return `\n${style.bold('Chunks copied by hash')}\n${tableText(columns, rows, style)}${moreText(chunksCopied, shown.length)}`;
}

function rangesText({ ranges }: CopiedChunk): string {
  const touched = ranges.filter(({ erased }) => erased > 0n);
  return touched
    .map(
      ({ topic, partition, firstSequence, lastSequence, erased }) =>
        `${formatCount(erased)} of ${topic}/${partition} ${firstSequence}..${lastSequence}`,
    )
    .join(', ');
}

function verdict(what: string, report: RebuildReport, isCheck: boolean, style: Style): string {
  const { differences, swapped } = report;
  if (differences === 0n && swapped) {
    return style.green(`✔ ${what} rebuilt: equal row for row, and swapped.`);
  }
  if (differences === 0n) return style.green(`✔ ${what}: the log gives the same rows.`);
  if (swapped) return style.yellow(`${what} swapped with differences, as asked: the log's word.`);
  const next = isCheck ? 'Nothing was changed.' : 'Nothing was swapped.';
  return `${style.red(`✘ ${what} differs from its log.`)} ${next} Find out why before --accept-differences; see docs/operators/rebuild.md.`;
}
