#!/usr/bin/env node
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { createStyle } from './output/style.ts';
import { runCli } from './program.ts';
import type { CliClock, Surroundings, Terminal } from './surroundings.ts';

const { stdin, stdout, stderr } = process;

const clock: CliClock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: async (durationMs, signal) => {
    await delay(durationMs, undefined, signal === undefined ? {} : { signal });
  },
};

// A reader that has seen enough (`| head`) is no failure.
stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

const stopping = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.on(name, () => {
    // Who asks twice does not want to wait for a tidy end.
    if (stopping.signal.aborted) process.exit(1);
    stopping.abort();
  });
}

const terminal: Terminal = {
  out: (text) => {
    stdout.write(text);
  },
  outDrained: async (text) => {
    if (!stdout.write(text)) await once(stdout, 'drain');
  },
  err: (text) => {
    stderr.write(text);
  },
  isOutTerminal: stdout.isTTY,
  isErrTerminal: stderr.isTTY,
  columns: columnsOf(stdout),
  errColumns: columnsOf(stderr),
  outStyle: createStyle(stdout.isTTY && stdout.hasColors()),
  errStyle: createStyle(stderr.isTTY && stderr.hasColors()),
  ask: stdin.isTTY && stderr.isTTY ? ask : undefined,
};

/** A terminal without a size says 0. */
function columnsOf(stream: NodeJS.WriteStream): number {
  return stream.isTTY && stream.columns > 0 ? stream.columns : 100;
}

async function ask(question: string): Promise<string> {
  const reading = createInterface({ input: stdin, output: stderr });
  try {
    return await reading.question(question, { signal: stopping.signal });
  } finally {
    reading.close();
  }
}

const surroundings: Surroundings = {
  terminal,
  clock,
  randomFraction: () => Math.random(),
  randomUuid: () => randomUUID(),
  // Set by npm for whatever it starts, where `lethe` alone is mostly not in the PATH.
  commandName: process.env['npm_execpath'] === undefined ? 'lethe' : 'npx lethe',
  accessToken: process.env['LETHE_TOKEN'],
  childEnvironment: process.env,
  signal: stopping.signal,
};

process.exitCode = await runCli(process.argv.slice(2), surroundings);
