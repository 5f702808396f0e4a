import type { Style } from './output/style.ts';

/** Time as a parameter; tests give their own. */
export interface CliClock {
  /** Wall clock, milliseconds since 1970 UTC. */
  nowMs(): number;
  /** Never goes back; its zero means nothing. */
  monotonicMs(): number;
  /** Resolves after `durationMs`, rejects with an AbortError when the signal fires. */
  sleep(durationMs: number, signal?: AbortSignal): Promise<void>;
}

/** Where a command writes and whom it may ask. */
export interface Terminal {
  /** Results; what a pipe would take. */
  out(text: string): void;
  /** The same for long outputs: resolves when the reader has kept up. */
  outDrained(text: string): Promise<void>;
  /** Progress and problems. */
  err(text: string): void;
  /** A human reads stdout. */
  readonly isOutTerminal: boolean;
  /** A human reads stderr. */
  readonly isErrTerminal: boolean;
  /** Columns of stdout; 100 when it is no terminal or does not say. */
  readonly columns: number;
  /** The same of stderr. */
  readonly errColumns: number;
  readonly outStyle: Style;
  readonly errStyle: Style;
  /** Asks a question on the terminal; undefined when no human can answer. */
  readonly ask: ((question: string) => Promise<string>) | undefined;
}

/** Everything that a command takes from the process it runs in; only main.ts knows where it comes from. */
export interface Surroundings {
  readonly terminal: Terminal;
  readonly clock: CliClock;
  /** From 0 to 1, for spreading retries and making ids; not for keys. */
  readonly randomFraction: () => number;
  readonly randomUuid: () => string;
  /** How a reader calls this program: `lethe`, or `npx lethe` where npm started it. */
  readonly commandName: string;
  /** LETHE_TOKEN. */
  readonly accessToken: string | undefined;
  /** What a child process gets, the server of `lethe up` alone. */
  readonly childEnvironment: Readonly<Record<string, string | undefined>>;
  /** Fires at SIGINT and SIGTERM. */
  readonly signal: AbortSignal;
}
