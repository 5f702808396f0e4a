/**
 * Starts Kafka, PostgreSQL, Vault, the ClickHouse front and the six services on loopback, for trying them by hand, until
 * Ctrl-C. Everything lies in temporary folders and goes with it.
 *
 *   LETHE_TOOLS=FOLDER node deploy/local/up.ts [--secured]
 *
 * --secured: Kafka over TLS with SCRAM and the ACLs of the manifest, PostgreSQL over TLS with a password for each service.
 * LETHE_TOOLS names a folder with `vault` or `vault.xz`; without it the cache is looked at (npm run build:vault fills it).
 */
import { homedir } from 'node:os';
import path from 'node:path';
import { whyNoKafka } from './kafka.ts';
import { startSixProcesses } from './six-processes.ts';
import { findVault } from './vault-binary.ts';

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

const cacheRoot = process.env['XDG_CACHE_HOME'] ?? path.join(homedir(), '.cache');
const tools = process.env['LETHE_TOOLS'];
const vaultBinary = findVault({ tools, cache: path.join(cacheRoot, 'lethe') });
if (vaultBinary === undefined)
  throw new Error('no Vault: set LETHE_TOOLS or run npm run build:vault');
const why = whyNoKafka();
if (why !== undefined) throw new Error(why);

say('Starting Kafka, PostgreSQL, Vault, the ClickHouse front and six services …');
const isSecured = process.argv.includes('--secured');
const six = await startSixProcesses({ vaultBinary, isSecured });
say(`Lethe serves at ${six.address}; its folder is ${six.dataFolder}`);
for (const service of six.services.values()) {
  const { name, publicAddress, internalAddress } = service;
  const outside = name === 'keys' ? 'services only' : publicAddress;
  say(`  ${name.padEnd(12)} ${outside}, inside ${internalAddress}, process ${service.pid()}`);
}
say(`  npx lethe tour --data ${six.dataFolder}`);
say(`  npx lethe status --data ${six.dataFolder}`);
say('Ctrl-C ends and removes everything.');
// So that the process stays.
const waiting = setInterval(() => undefined, 60_000);
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    clearInterval(waiting);
    void six.stop();
  });
}
