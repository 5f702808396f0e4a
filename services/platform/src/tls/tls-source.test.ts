import assert from 'node:assert/strict';
import { appendFileSync, copyFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ServiceError } from '../errors/service-error.ts';
import { type Clock, systemClock } from '../lifecycle/clock.ts';
import { createLogger } from '../log/logger.ts';
import { createCertificateAuthority } from '../testing/certificate-authority.ts';
import { createHandClock } from '../testing/hand-clock.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../testing/temporary-folder.ts';
import { identityOf } from './service-identity.ts';
import { readTlsMaterial, type TlsFiles } from './tls-material.ts';
import { openTlsSource, type TlsSource } from './tls-source.ts';

const hourMs = 3_600_000;
const sleep: Clock['sleep'] = async (durationMs, signal) => systemClock.sleep(durationMs, signal);
const authority = createCertificateAuthority();
const strangers = createCertificateAuthority('Another authority');

describe('TLS files', () => {
  let folder: TemporaryFolder;
  let files: Required<TlsFiles>;
  let lines: string[];
  const opened: TlsSource[] = [];
  const issue = (wish: Parameters<typeof authority.issue>[0] = {}, by = authority) => {
    const { certificate, privateKey } = by.issue({ uris: [identityOf('keys')], ...wish });
    writeFileSync(files.certificateFile, certificate);
    writeFileSync(files.privateKeyFile, privateKey);
  };
  const open = (clock = systemClock): TlsSource => {
    const destination = { write: (line: string) => void lines.push(line) };
    const logger = createLogger({ service: 'test', level: 'info', destination });
    const source = openTlsSource({ files, identity: 'keys', clock, logger, pollMs: hourMs });
    opened.push(source);
    return source;
  };
  const brokenRules = (): string[] => {
    try {
      readTlsMaterial(files, { identity: 'keys', nowMs: Date.now() });
      return [];
    } catch (error) {
      assert.ok(error instanceof ServiceError && error.reason === 'CONFIG_INVALID', String(error));
      return error.violations.map(({ field, description }) => {
        return `${path.basename(field)} ${description}`;
      });
    }
  };

  beforeEach(() => {
    lines = [];
    folder = createTemporaryFolder('tls');
    files = {
      certificateFile: path.join(folder.path, 'certificate'),
      privateKeyFile: path.join(folder.path, 'key'),
      authorityFile: path.join(folder.path, 'authority'),
    };
    issue();
    writeFileSync(files.authorityFile, authority.certificate);
  });
  afterEach(async () => {
    for (const source of opened.splice(0)) await source.stop();
    folder.remove();
  });

  it('are right, also with two authorities while one replaces the other', () => {
    assert.deepEqual(brokenRules(), []);
    appendFileSync(files.authorityFile, strangers.certificate);
    assert.deepEqual(brokenRules(), []);
    issue({}, strangers);
    assert.deepEqual(brokenRules(), []);
  });

  it('are refused by name and rule, all of them at once, and never quoted', () => {
    rmSync(files.authorityFile);
    writeFileSync(files.privateKeyFile, 'secret');
    assert.deepEqual(brokenRules(), [
      'authority cannot be read',
      'key holds no private key in PEM',
    ]);
  });

  it('must be of one pair, of the authority, in their dates and of this service', () => {
    const other = path.join(folder.path, 'other');
    copyFileSync(files.privateKeyFile, other);
    issue();
    copyFileSync(other, files.privateKeyFile);
    assert.deepEqual(brokenRules(), ['key is not the key of the certificate']);
    issue({}, strangers);
    assert.deepEqual(brokenRules(), ['certificate is not of the given authority']);
    issue({ validFromMs: Date.now() - 2 * hourMs, validToMs: Date.now() - hourMs });
    assert.match(brokenRules().join(), /^certificate has expired/);
    issue({ validFromMs: Date.now() + hourMs });
    assert.match(brokenRules().join(), /^certificate is not valid yet/);
    issue({ uris: [identityOf('usage')] });
    assert.match(brokenRules().join(), /must have the one URI spiffe:\/\/lethe\/keys/);
  });

  it('that are replaced are taken up and told of, once', () => {
    const source = open();
    const changes: Buffer[] = [];
    const end = source.onChange(({ certificate }) => changes.push(certificate));
    const before = source.current();
    source.check();
    assert.equal(changes.length, 0);
    issue();
    source.check();
    source.check();
    assert.equal(changes.length, 1);
    assert.ok(!source.current().certificate.equals(before.certificate));
    end();
    issue();
    source.check();
    assert.equal(changes.length, 1);
  });

  it('that are wrong later change nothing; it is said once, until they are right', () => {
    const source = open();
    const before = source.current();
    writeFileSync(files.certificateFile, 'rubbish');
    source.check();
    source.check();
    assert.equal(source.current(), before);
    assert.match(source.warning() ?? '', /certificate holds no certificate in PEM/);
    assert.equal(source.problem(), undefined);
    assert.equal(lines.filter((line) => line.includes('TLS files are wrong')).length, 1);
    issue();
    source.check();
    assert.equal(source.warning(), undefined);
    assert.notEqual(source.current(), before);
  });

  it('that expired while in use are a problem', () => {
    const clock = createHandClock(Date.now(), sleep);
    const source = open(clock);
    assert.equal(source.problem(), undefined);
    clock.advance(25 * hourMs);
    assert.match(source.problem() ?? '', /has expired/);
  });
});
