import { styleText } from 'node:util';

/** Colours, or nothing at all where the reader is no terminal or does not want them. */
export interface Style {
  bold(text: string): string;
  dim(text: string): string;
  red(text: string): string;
  green(text: string): string;
  yellow(text: string): string;
  cyan(text: string): string;
}

/** `isColoured` is decided by main: a terminal, and NO_COLOR not set. */
export function createStyle(isColoured: boolean): Style {
  const painted = (format: Parameters<typeof styleText>[0]) => (text: string) =>
    isColoured ? styleText(format, text, { validateStream: false }) : text;
  return {
    bold: painted('bold'),
    dim: painted('dim'),
    red: painted('red'),
    green: painted('green'),
    yellow: painted('yellow'),
    cyan: painted('cyan'),
  };
}
