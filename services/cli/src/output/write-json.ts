import type { Terminal } from '../surroundings.ts';

/** One JSON value on a line of its own. */
export function writeJson(terminal: Terminal, value: unknown): void {
  terminal.out(`${JSON.stringify(value)}\n`);
}
