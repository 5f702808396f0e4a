import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { type Kysely, sql } from 'kysely';
import { openPostgres } from '@lethe/platform/database/postgres.ts';
import type { PostgresTls } from '@lethe/platform/database/postgres-config.ts';
import { createTemporaryFolder } from '@lethe/platform/testing/temporary-folder.ts';
import { type LocalPostgres, startLocalPostgres } from '../../deploy/local/postgres.ts';
import { configOf, openServer } from './local-postgres.ts';

/** A certificate of its own for 127.0.0.1. */
function selfSigned(): { certificate: string; privateKey: string } {
  const folder = createTemporaryFolder('certificate');
  const file = path.join(folder.path, 'server.crt');
  const privateFile = path.join(folder.path, 'server.key');
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const name = ['-subj', '/CN=lethe-test', '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '2'];
  execFileSync(
    'openssl',
    ['req', '-x509', ...curve, ...name, '-keyout', privateFile, '-out', file],
    { stdio: 'ignore' },
  );
  const made = {
    certificate: readFileSync(file, 'utf8'),
    privateKey: readFileSync(privateFile, 'utf8'),
  };
  folder.remove();
  return made;
}

describe('PostgreSQL over TLS', function () {
  this.timeout(60_000);
  const trusted = selfSigned();
  let clear: LocalPostgres;
  let server: LocalPostgres;
  let opened: Kysely<unknown>[];
  before(async function () {
    const started = await openServer(false);
    if (started === undefined) this.skip();
    clear = started;
    server = await startLocalPostgres({ durable: false, tls: trusted });
  });
  beforeEach(() => {
    opened = [];
  });
  afterEach(async () => {
    for (const db of opened) await db.destroy();
  });
  after(async () => {
    await clear?.destroy();
    await server?.destroy();
  });

  const isEncrypted = async (to: LocalPostgres, tls: PostgresTls, host = '127.0.0.1') => {
    const config = configOf(to, 'tls');
    const db = openPostgres<unknown>({ ...config, tls, address: { ...config.address, host } });
    opened.push(db);
    const { rows } = await sql<{ ssl: boolean }>`
      select ssl from pg_stat_ssl where pid = pg_backend_pid()`.execute(db);
    return rows[0]?.ssl;
  };

  it('encrypts with a server whose certificate is trusted', async () => {
    assert.equal(await isEncrypted(server, { mode: 'verify', caPem: trusted.certificate }), true);
    assert.equal(await isEncrypted(server, { mode: 'off' }), false);
  });

  it('never falls back: a stranger, another name and a server without TLS are refused', async () => {
    const invalid = { reason: 'STORE_ACCESS_DENIED', message: /LETHE_POSTGRES_CA_FILE/ };
    const verify = { mode: 'verify', caPem: trusted.certificate } as const;
    await assert.rejects(isEncrypted(server, { mode: 'verify' }), invalid);
    const other = { mode: 'verify', caPem: selfSigned().certificate } as const;
    await assert.rejects(isEncrypted(server, other), invalid);
    await assert.rejects(isEncrypted(server, verify, 'localhost'), invalid);
    await assert.rejects(isEncrypted(clear, verify), invalid);
  });
});
