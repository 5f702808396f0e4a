import type { AskedWait } from '../calls/retry.ts';
import type { Terminal } from '../surroundings.ts';
import { formatCount, formatDuration } from './numbers.ts';

/** Something that takes a while, told to whoever watches. */
export interface Progress {
  /** So much is done; `note` says what else is worth knowing, such as the rate. */
  update(done: number, note: string): void;
  /** It stands still, and why. Without a terminal told once between two lines of progress. */
  waiting(why: string): void;
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

/** What a progress line says while a server is full. */
export function waitText({ delayMs, message }: AskedWait): string {
  return `the server asks to wait ${formatDuration(delayMs)}: ${message}`;
}

/** On a terminal one moving line, elsewhere a line at each tenth (or at each power of two without a total). */
export function startProgress(terminal: Terminal, plan: ProgressPlan): Progress {
  return terminal.isErrTerminal ? movingProgress(terminal, plan) : sparseProgress(terminal, plan);
}

const frames = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'] as const;
const frameMs = 80;
/** Back to the start of the line, and clear it: the line never wraps, so this is all that is needed. */
export const clearLine = '\r\u001b[2K';

function movingProgress(terminal: Terminal, plan: ProgressPlan): Progress {
  const { errStyle: style, errColumns } = terminal;
  const { title, total, showsCount = true } = plan;
  let amount = '';
  let note = '';
  let frame = 0;
  const paint = () => {
    frame += 1;
    // The spinner, its space and a free last column stay in any case.
    let room = errColumns - 3;
    const parts = [title, amount, note].map((text) => {
      const shown = text === '' ? '' : `${text}  `.slice(0, Math.max(0, room));
      room -= shown.length;
      return shown;
    });
    const [shownTitle = '', shownAmount = '', shownNote = ''] = parts;
    const spinner = style.cyan(frames[frame % frames.length] ?? '');
    terminal.err(
      `${clearLine}${spinner} ${shownTitle}${style.cyan(shownAmount)}${style.dim(shownNote)}`,
    );
  };
  paint();
  // Painting by the clock keeps a fast stream of updates from flooding the terminal.
  const timer = setInterval(paint, frameMs);
  const stop = () => {
    clearInterval(timer);
    terminal.err(clearLine);
  };
  return {
    update: (done, newNote) => {
      const count = showsCount ? [formatCount(done)] : [];
      const bar = total === undefined ? [] : [progressBar(done, total)];
      amount = [...bar, ...count].join(' ');
      note = newNote;
    },
    waiting: (why) => {
      note = why;
    },
    finish: (newNote) => {
      stop();
      terminal.err(`${style.green('✔')} ${title}  ${newNote}\n`);
    },
    abandon: stop,
  };
}

function sparseProgress(
  terminal: Terminal,
  { title, total, showsCount = true }: ProgressPlan,
): Progress {
  let nextAt = total === undefined ? 1024 : total / 10;
  let saysWhy = true;
  return {
    update: (done, note) => {
      if (done < nextAt) return;
      saysWhy = true;
      while (nextAt <= done) nextAt = total === undefined ? nextAt * 2 : nextAt + total / 10;
      const share = total === undefined ? '' : ` ${Math.floor((100 * done) / total)} %`;
      const count = showsCount ? `  ${formatCount(done)}` : '';
      terminal.err(`${title}${share}${count}  ${note}\n`);
    },
    waiting: (why) => {
      if (saysWhy) terminal.err(`${title}  ${why}\n`);
      saysWhy = false;
    },
    finish: (note) => terminal.err(`${title}  ${note}\n`),
    abandon: () => undefined,
  };
}

function progressBar(done: number, total: number): string {
  const width = 24;
  const share = Math.min(1, done / total);
  const filled = Math.round(share * width);
  const percent = `${Math.floor(100 * share)}`.padStart(3);
  return `${'█'.repeat(filled)}${'░'.repeat(width - filled)} ${percent} %`;
}
