import { hashOf } from './random.ts';

/** What happened, in order: a rolling hash always, the lines only where somebody wants to read them. */
export interface Trace {
  note(line: string): void;
  /** Two runs of one seed and one code have the same. */
  hash(): string;
  readonly lines: readonly string[];
}

export function createTrace(keepsLines: boolean): Trace {
  let [left, right] = [1, 2];
  const lines: string[] = [];
  return {
    note: (line) => {
      left = hashOf(line, left);
      right = hashOf(line, right ^ 0x5bd1_e995);
      if (keepsLines) lines.push(line);
    },
    hash: () => left.toString(16).padStart(8, '0') + right.toString(16).padStart(8, '0'),
    lines,
  };
}
