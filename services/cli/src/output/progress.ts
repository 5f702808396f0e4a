import ora from 'ora';
import type { Terminal } from '../surroundings.ts';
import { formatCount } from './numbers.ts';

/** Something that takes a while, told to whoever watches. */
export interface Progress {
  /** So much is done; `note` says what else is worth knowing, such as the rate. */
  update(done: number, note: string): void;
  /** Leaves one line behind. */
  finish(note: string): void;
  /** Leaves nothing behind; an error message follows. */
  abandon(): void;
}

export interface ProgressPlan {
  readonly title: string;
  /** Undefined when nobody knows how much there is. */
  readonly total: number | undefined;
  /** False where the note says better how much is done, as for bytes. */
  readonly showsCount?: boolean;
}

/** On a terminal one moving line, elsewhere a line at each tenth (or at each power of two without a total). */
export function startProgress(terminal: Terminal, plan: ProgressPlan): Progress {
  return terminal.isErrTerminal ? movingProgress(terminal, plan) : sparseProgress(terminal, plan);
}

function movingProgress(
  terminal: Terminal,
  { title, total, showsCount = true }: ProgressPlan,
): Progress {
  const style = terminal.errStyle;
  const spinner = ora({ stream: terminal.errStream, text: title, discardStdin: false }).start();
  return {
    update: (done, note) => {
      const count = showsCount ? [formatCount(done)] : [];
      const bar = total === undefined ? [] : [progressBar(done, total)];
      const amount = [...bar, ...count].join(' ');
      spinner.text = `${title}  ${style.cyan(amount)}  ${style.dim(note)}`;
    },
    finish: (note) => {
      spinner.stopAndPersist({ symbol: style.green('✔'), text: `${title}  ${note}` });
    },
    abandon: () => {
      spinner.stop();
    },
  };
}

function sparseProgress(
  terminal: Terminal,
  { title, total, showsCount = true }: ProgressPlan,
): Progress {
  let nextAt = total === undefined ? 1024 : total / 10;
  return {
    update: (done, note) => {
      if (done < nextAt) return;
      while (nextAt <= done) nextAt = total === undefined ? nextAt * 2 : nextAt + total / 10;
      const share = total === undefined ? '' : ` ${Math.floor((100 * done) / total)} %`;
      const count = showsCount ? `  ${formatCount(done)}` : '';
      terminal.err(`${title}${share}${count}  ${note}\n`);
    },
    finish: (note) => terminal.err(`${title}  ${note}\n`),
    abandon: () => undefined,
  };
}

function progressBar(done: number, total: number): string {
  const width = 24;
  const filled = Math.min(width, Math.round((done / total) * width));
  return `${'█'.repeat(filled)}${'░'.repeat(width - filled)} ${String(Math.floor((100 * done) / total)).padStart(3)} %`;
}
