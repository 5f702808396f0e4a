import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createCertificateAuthority } from '@lethe/platform/testing/certificate-authority.ts';
import {
  createTemporaryFolder,
  type TemporaryFolder,
} from '@lethe/platform/testing/temporary-folder.ts';
import { until } from '@lethe/platform/testing/until.ts';
import { identityOf } from '@lethe/platform/tls/service-identity.ts';
import { type ServiceName, serviceNames } from '@lethe/proto/access.ts';
import { configurationPage, configurationPageFile, helpOf } from '../deploy/configuration-page.ts';
import { freePort } from '../deploy/local/free-port.ts';
import { repository } from './temporary-tree.ts';

/** Tells of every module that is loaded. */
const teller = `data:text/javascript,${encodeURIComponent(`
  import { registerHooks } from 'node:module';
  registerHooks({ load(url, context, next) {
    process.stderr.write('loaded ' + url + '\\n');
    return next(url, context);
  } });
`)}`;

function run(service: string, args: readonly string[], env: Record<string, string> = {}) {
  const main = path.join(repository, 'services', service, 'src/main.ts');
  const command = ['--import', teller, main, ...args];
  const ended = spawnSync(process.execPath, command, { encoding: 'utf8', env });
  const lines = ended.stderr.split('\n').filter((line) => line !== '');
  return {
    exitCode: ended.status,
    stdout: ended.stdout,
    said: lines.filter((line) => !line.startsWith('loaded ')),
    loaded: lines.filter((line) => line.startsWith('loaded ')),
  };
}

describe('the process of a service', function () {
  this.timeout(120_000);

  const help = new Map<ServiceName, string>();

  for (const service of serviceNames) {
    it(`${service}: loads no embedded engine, no other service and nothing of tests`, () => {
      const { exitCode, loaded, stdout } = run(service, ['--help']);
      assert.equal(exitCode, 0);
      help.set(service, stdout);
      // A positive control: its own code and a library are among them.
      assert.ok(loaded.some((line) => line.endsWith(`/services/${service}/src/app.ts`)));
      assert.ok(loaded.some((line) => line.includes('/node_modules/kafkajs/')));
      const foreign = serviceNames.filter((name) => name !== service).join('|');
      const wrong = new RegExp(
        `/node_modules/(@electric-sql/pglite|chdb|node-forge|mocha|@aws-sdk)/|/services/(standalone|cli|${foreign})/|/testing/|\\.test\\.ts`,
      );
      assert.deepEqual(
        loaded.filter((line) => wrong.test(line)),
        [],
      );
    });
  }

  it('has settings that docs/operators/configuration.md tells of', () => {
    const page = configurationPage((service) => help.get(service) ?? helpOf(service));
    assert.equal(readFileSync(configurationPageFile, 'utf8'), page);
    assert.doesNotMatch(page, /` \|  \|/, 'each has a meaning');
  });
});

describe('work that a program does once', function () {
  this.timeout(60_000);

  for (const [argument, variable] of [
    ['--migrate', 'LETHE_POSTGRES_URL'],
    ['--create-topics', 'LETHE_KAFKA_BROKERS'],
  ] as const) {
    it(`${argument} asks for ${variable} and for no variable of another kind`, () => {
      const { exitCode, said } = run('privacy', [argument]);
      assert.equal(exitCode, 2);
      const named = said.join(' ').match(/LETHE_[A-Z_]+/g);
      assert.deepEqual(named, [variable]);
    });
  }
});

/** An environment of usage in which everything is right, files and all; nothing listens at its addresses. */
function rightEnvironment(folder: TemporaryFolder): Record<string, string> {
  const write = (name: string, text: string) => {
    const file = path.join(folder.path, name);
    writeFileSync(file, text);
    return file;
  };
  const authority = createCertificateAuthority();
  const { certificate, privateKey } = authority.issue({ uris: [identityOf('usage')] });
  return {
    LETHE_INTERNAL_CERTIFICATE_FILE: write('certificate', certificate),
    LETHE_INTERNAL_PRIVATE_KEY_FILE: write('key', privateKey),
    LETHE_INTERNAL_AUTHORITY_FILE: write('authority', authority.certificate),
    LETHE_PUBLIC_CERTIFICATE_FILE: write('public', certificate),
    LETHE_PUBLIC_PRIVATE_KEY_FILE: write('public-key', privateKey),
    LETHE_TOKEN_ISSUER: 'https://issuer.example',
    LETHE_TOKEN_JWKS_URL: 'https://issuer.example/jwks',
    LETHE_PEER_KEYS: 'keys:7482',
    LETHE_PEER_PRIVACY: 'privacy:7482',
    LETHE_PEER_ANALYTICS: 'analytics:7482',
    LETHE_POSTGRES_URL: 'postgres://usage:s3cret-word@db.invalid/lethe',
    LETHE_KAFKA_BROKERS: 'kafka.invalid:9093',
  };
}

describe('--check-config', () => {
  let folder: TemporaryFolder;
  let env: Record<string, string>;
  beforeEach(() => {
    folder = createTemporaryFolder('check-config');
    env = rightEnvironment(folder);
  });
  afterEach(() => folder.remove());
  const check = () => run('usage', ['--check-config'], env);

  it('says ok and what is set, without a secret', () => {
    const { exitCode, stdout, said } = check();
    assert.deepEqual(said, []);
    assert.equal(exitCode, 0);
    assert.match(stdout, /^ok: /);
    assert.match(stdout, /LETHE_POSTGRES_URL=postgres:\/\/usage:\[secret\]@db\.invalid\/lethe/);
    assert.doesNotMatch(stdout, /s3cret/);
  });

  it('says everything that is wrong at once, by variable and rule, and no value', () => {
    writeFileSync(path.join(folder.path, 'rubbish'), 'rubbish');
    Object.assign(env, {
      LETHE_INTERNAL_PRIVATE_KEY_FILE: path.join(folder.path, 'rubbish'),
      LETHE_PUBLIC_HOST: '0.0.0.0',
      LETHE_PUBLIC_TLS: 'off',
      LETHE_HEALTH_TLS: 'off',
      LETHE_POSTGRES_TLS: 'off',
      LETHE_KAFKA_TLS: 'off',
      LETHE_KAFKA_SASL: 'plain',
      LETHE_TOKEN_PUBLIC_KEY_FILE: '/nowhere',
      LETHE_PEER_KEYS: '',
      LETHE_USAGE_FENCE_SKEW_MS: 'soon',
      LETHE_POSTGRES_CONECTIONS: '3',
    });
    const { exitCode, stdout, said } = check();
    assert.equal(exitCode, 2);
    assert.equal(stdout, '');
    const rules = [
      /LETHE_POSTGRES_CONECTIONS is no setting of usage/,
      /LETHE_USAGE_FENCE_SKEW_MS: /,
      /LETHE_HEALTH_TLS: off is for a host on loopback/,
      /LETHE_INTERNAL_PRIVATE_KEY_FILE: the file holds no private key/,
      /LETHE_PUBLIC_TLS: off is for a host on loopback/,
      /LETHE_TOKEN_JWKS_URL: set exactly one/,
      /LETHE_PEER_KEYS: must be set/,
      /LETHE_POSTGRES_TLS: off is for loopback only/,
      /LETHE_KAFKA_TLS: off is for brokers on loopback/,
      /LETHE_KAFKA_SASL: needs LETHE_KAFKA_USERNAME/,
    ];
    for (const rule of rules)
      assert.ok(
        said.some((line) => rule.test(line)),
        String(rule),
      );
    assert.equal(said.length, rules.length);
    assert.doesNotMatch(said.join(), /s3cret|soon|invalid/);
  });

  it('wants the certificate of this very service, and of the authority that peers trust', () => {
    const other = createCertificateAuthority().issue({ uris: [identityOf('keys')] });
    writeFileSync(env['LETHE_INTERNAL_CERTIFICATE_FILE'] ?? '', other.certificate);
    writeFileSync(env['LETHE_INTERNAL_PRIVATE_KEY_FILE'] ?? '', other.privateKey);
    const { exitCode, said } = check();
    assert.equal(exitCode, 2);
    assert.match(said.join('\n'), /must have the one URI spiffe:\/\/lethe\/usage/);
    assert.match(said.join('\n'), /is not of the given authority/);
  });
});

describe('a process whose database is away', function () {
  this.timeout(60_000);
  let folder: TemporaryFolder;
  let child: ChildProcess;
  let healthPort: number;
  let lines: string[];
  beforeEach(async () => {
    folder = createTemporaryFolder('waiting');
    healthPort = await freePort();
    lines = [];
    const env = {
      ...rightEnvironment(folder),
      LETHE_HEALTH_HOST: '127.0.0.1',
      LETHE_HEALTH_PORT: String(healthPort),
      LETHE_HEALTH_TLS: 'off',
      LETHE_POSTGRES_TLS: 'off',
      LETHE_POSTGRES_URL: `postgres://usage@127.0.0.1:${await freePort()}/lethe`,
    };
    const main = path.join(repository, 'services/usage/src/main.ts');
    child = spawn(process.execPath, [main], { env, stdio: ['ignore', 'pipe', 'inherit'] });
    child.stdout?.setEncoding('utf8').on('data', (text: string) => lines.push(text));
  });
  afterEach(() => {
    child.kill('SIGKILL');
    folder.remove();
  });
  const ask = async (what: string) => {
    try {
      const answer = await fetch(`http://127.0.0.1:${healthPort}/${what}`);
      return { status: answer.status, said: await answer.text() };
    } catch {
      // It does not listen yet, or not any more.
      return { status: 0, said: '' };
    }
  };
  const exitCode = async () =>
    await new Promise<number | null>((resolve) => child.once('exit', resolve));

  it('lives, is not ready, says for what it waits, and ends with 0 when told to', async () => {
    await until(async () => (await ask('ready')).said.includes('STORE_UNAVAILABLE'));
    const { status, said } = await ask('ready');
    assert.equal(status, 503);
    assert.match(said, /"phase":"starting","waitsFor":"database: STORE_UNAVAILABLE/);
    assert.equal((await ask('live')).status, 200);
    assert.equal((await ask('elsewhere')).status, 404);
    assert.match(lines.join(''), /"problem":"database: STORE_UNAVAILABLE.*"msg":"waits"/);
    const ended = exitCode();
    child.kill('SIGTERM');
    assert.equal(await ended, 0);
  });
});
