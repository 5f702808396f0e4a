import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { startOtlpReceiver } from '../harness/otlp-receiver.ts';
import { figureOf, type Tell } from './figure.ts';
import { combinePairs, runPairs, type Side } from './pairs.ts';
import { eventsPerRound, exportEveryMs, settleMs, type SideMessage } from './telemetry-side.ts';

const pairs = 10;
/** As many pairs as fit, for each figure. */
const pairsForMs = 35_000;

/** How much of it is on. */
const kinds = [
  {
    name: 'telemetry',
    ratio: 0.01,
    what: 'append → relay → log → ledger, 1 KB events, with telemetry',
  },
  { name: 'telemetry-all', ratio: 1, what: 'the same with every call traced' },
] as const;

/**
 * CPU from append to ledger, with telemetry to a sink on loopback and without, in processes of their own: what one sends
 * between its rounds is not the other's.
 */
export async function measureTelemetryCost(names: ReadonlySet<string>, tell: Tell): Promise<void> {
  const off = await openSide('bench-quiet');
  try {
    for (const kind of kinds) if (names.has(kind.name)) await measureKind(kind, off.round, tell);
  } finally {
    off.end();
  }
}

async function measureKind(
  { name, ratio, what }: (typeof kinds)[number],
  off: Side,
  tell: Tell,
): Promise<void> {
  const sink = await startOtlpReceiver();
  const traced = await openSide(`bench-${name}`, sink.endpoint, String(ratio));
  let [requests, bytes] = [0, 0];
  // What it sends while the other side has its round is in no round, and not counted.
  const on: Side = async () => {
    const before = sink.bodies().length;
    const usPerEvent = await traced.round();
    const sent = sink.bodies().slice(before);
    requests += sent.length;
    bytes += sent.reduce((sum, body) => sum + body.length, 0);
    return usPerEvent;
  };
  try {
    await runPairs(1, on, off);
    [requests, bytes] = [0, 0];
    const result = combinePairs(await runPairs(pairs, on, off, pairsForMs));
    if (requests === 0) throw new Error('nothing was sent');
    const events = result.pairs * eventsPerRound;
    const notes = [
      `of traces a share of ${ratio}; metrics of all six services every ${exportEveryMs / 1_000} s, where 15 s is the default. A round ends ${settleMs / 1_000} s after its last event, on both sides, so that what it queued is sent; what the services take meanwhile is in both.`,
      `${requests} requests, ${Math.round(bytes / events)} bytes an event before packing; the sink's CPU is not in it.`,
    ];
    const words = { name, what, unit: 'µs CPU', baselineWhat: 'the same without', notes };
    tell(figureOf(words, result));
  } finally {
    traced.end();
    await sink.close();
  }
}

interface OpenSide {
  readonly round: Side;
  readonly end: () => void;
}

async function openSide(...args: readonly string[]): Promise<OpenSide> {
  const child = fork(join(import.meta.dirname, 'telemetry-side.ts'), args, {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  await told(child);
  return {
    round: async () => {
      child.send('round');
      const message = await told(child);
      if ('usPerEvent' in message) return message.usPerEvent;
      throw new Error('a side told of no round');
    },
    end: () => {
      if (child.connected) child.disconnect();
    },
  };
}

/** The next thing that a side says; throws when it ends instead. */
async function told(child: ChildProcess): Promise<SideMessage> {
  const over = new AbortController();
  const { signal } = over;
  const ended = once(child, 'exit', { signal }).then(([code]) => {
    throw new Error(`a side ended with ${String(code)}`);
  });
  try {
    const [message] = await Promise.race([once(child, 'message', { signal }), ended]);
    return message as SideMessage;
  } finally {
    over.abort();
  }
}
