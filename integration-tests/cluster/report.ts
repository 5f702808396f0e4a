import { appendFileSync } from 'node:fs';

/** What a run says, on the screen and at its end in a file. */
export interface Report {
  line(text: string): void;
  /** The milliseconds since `startedMs`, of `performance.now()`. */
  took(what: string, startedMs: number): void;
  block(text: string): void;
  write(): void;
}

export function createReport(file: string | undefined): Report {
  const lines: string[] = [];
  const line = (text: string): void => {
    console.log(`    ${text}`);
    lines.push(`- ${text}`);
  };
  return {
    line,
    took: (what, startedMs) =>
      line(`${what}: ${((performance.now() - startedMs) / 1000).toFixed(1)} s`),
    block: (text) => {
      console.log(text.replaceAll(/^/gm, '    '));
      lines.push('', '```', text, '```', '');
    },
    write: () => {
      if (file !== undefined) appendFileSync(file, `${lines.join('\n')}\n`);
    },
  };
}
