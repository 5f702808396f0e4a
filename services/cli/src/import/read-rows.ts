import { createReadStream } from 'node:fs';
import { parse, type CsvError, type Info } from 'csv-parse';
import { CliError, usageError } from '../failures/cli-error.ts';
import { exitCodes } from '../exit-codes.ts';

/** One line of a file, by column name. */
export interface SourceRow {
  /** Where the row ends in the file, from 1. */
  readonly line: number;
  readonly values: Readonly<Record<string, string>>;
  /** How much of the file it took, about. */
  readonly sizeBytes: number;
}

/** A row that cannot be used; the reason names columns and rules, never values. */
export interface BadRow {
  readonly line: number;
  readonly reason: string;
}

/** A longer row is bad, so that memory stays bounded whatever the file holds. */
export const rowBytesMax = 256 * 1024;

/**
 * Streams a CSV file with a header line; memory holds a few rows at a time. Throws a usage error when the header lacks
 * a column; everything later is a bad row and does not stop the rest.
 */
export async function* readRows(
  file: string,
  columns: readonly string[],
  onBadRow: (row: BadRow) => void,
): AsyncGenerator<SourceRow> {
  const parser = parse({
    bom: true,
    info: true,
    relax_column_count: true,
    skip_empty_lines: true,
    max_record_size: rowBytesMax,
    skip_records_with_error: true,
    on_skip: (error: CsvError | undefined) => {
      onBadRow({ line: Number(error?.['lines'] ?? 0), reason: skipReason(error) });
      return undefined;
    },
  });
  const input = createReadStream(file);
  // A pipe does not pass errors on: without this a missing file would never end the reading.
  input.once('error', (error) => parser.destroy(error));
  input.pipe(parser);
  let header: readonly string[] | undefined;
  try {
    for await (const parsed of parser as AsyncIterable<{ record: string[]; info: Info }>) {
      const { record, info } = parsed;
      if (header === undefined) {
        header = checkHeader(record, columns);
      } else if (record.length !== header.length) {
        onBadRow({
          line: info.lines,
          reason: `has ${record.length} columns, the header has ${header.length}`,
        });
      } else {
        yield rowOf(header, record, info.lines);
      }
    }
  } finally {
    input.destroy();
  }
  if (header === undefined) throw usageError('The file is empty: it has no header line.');
}

function checkHeader(header: readonly string[], columns: readonly string[]): readonly string[] {
  const trimmed = header.map((name) => name.trim());
  const missing = columns.filter((column) => !trimmed.includes(column));
  if (missing.length === 0) return trimmed;
  throw new CliError(exitCodes.usage, 'The header line lacks columns that the mapping reads.', {
    brokenRules: missing.map((field) => ({ field, rule: 'is missing' })),
    next: 'Check the file, or copy the mapping to a .json file of your own and correct the column names.',
  });
}

function rowOf(header: readonly string[], record: readonly string[], line: number): SourceRow {
  const values: Record<string, string> = Object.create(null);
  let sizeBytes = 0;
  header.forEach((name, index) => {
    const value = record[index] ?? '';
    values[name] = value;
    sizeBytes += value.length;
  });
  return { line, values, sizeBytes };
}

/** The parser's own messages quote what they found, so only its code is used. */
function skipReason(error: CsvError | undefined): string {
  if (error?.code === 'CSV_MAX_RECORD_SIZE') return `is longer than ${rowBytesMax} bytes`;
  return 'has quotes in wrong places';
}
