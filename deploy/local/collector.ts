import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort } from './free-port.ts';

export interface LocalCollectorWish {
  /** From `findCollector` or `buildCollector`. */
  readonly binary: string;
  /** Where traces and logs go on to: OTLP over HTTP. */
  readonly backend: string;
  /** Gets everything as it came in, before any processor: OTLP over HTTP. */
  readonly copies: string;
  /** Where it listens; default loopback. */
  readonly host?: string;
}

/** A collector with deploy/telemetry/collector.yaml. */
export interface LocalCollector {
  readonly version: string;
  /** For LETHE_TELEMETRY_ENDPOINT. */
  readonly endpoint: string;
  /** What Prometheus would scrape. */
  scrape(): Promise<string>;
  /** What it has logged. */
  log(): string;
  /** Ends it, after it sent on what it held. */
  stop(): Promise<void>;
}

const configuration = fileURLToPath(new URL('../telemetry/collector.yaml', import.meta.url));
const startsWithinMs = 60_000;
const pollMs = 20;

export async function startLocalCollector(wish: LocalCollectorWish): Promise<LocalCollector> {
  const { binary, backend, copies, host = '127.0.0.1' } = wish;
  const version = execFileSync(binary, ['--version'], { encoding: 'utf8' }).trim();
  const folder = mkdtempSync(path.join(tmpdir(), 'lethe-collector-'));
  const [listen, prometheus] = [`${host}:${await freePort()}`, `127.0.0.1:${await freePort()}`];
  const more = path.join(folder, 'copies.yaml');
  writeFileSync(more, copiesText(copies));
  let said = '';
  const child = spawn(binary, ['--config', configuration, '--config', more], {
    env: { OTLP_LISTEN: listen, PROMETHEUS_LISTEN: prometheus, OTLP_BACKEND: backend },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  const stop = async () => {
    await ended(child);
    rmSync(folder, { recursive: true, force: true });
  };
  const endsMs = performance.now() + startsWithinMs;
  while (!said.includes('Everything is ready')) {
    if (child.exitCode !== null || performance.now() > endsMs) {
      await stop();
      throw new Error(`the collector does not start; it said: ${said.slice(-2_000)}`);
    }
    await delay(pollMs);
  }
  return {
    version,
    endpoint: `http://${listen}`,
    scrape: async () => await (await fetch(`http://${prometheus}/metrics`)).text(),
    log: () => said,
    stop,
  };
}

/** Beside the configuration, not instead of any of it. Its own metrics would want a port of the machine. */
function copiesText(endpoint: string): string {
  const pipeline = '{ receivers: [otlp], exporters: [otlp_http/copies] }';
  return `exporters:
  otlp_http/copies: { endpoint: "${endpoint}" }
service:
  telemetry: { metrics: { level: none } }
  pipelines:
    traces/copies: ${pipeline}
    metrics/copies: ${pipeline}
    logs/copies: ${pipeline}
`;
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await exit;
}
