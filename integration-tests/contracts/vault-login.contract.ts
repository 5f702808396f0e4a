import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { inspect } from 'node:util';
import { tenantNamed } from '@lethe/keys/testing/keys-under-test.ts';
import { until } from '@lethe/platform/testing/until.ts';
import {
  createOpener,
  hasReason,
  openVault,
  provision,
  type ProvisionedVault,
} from './vault-under-test.ts';

const acme = tenantNamed('acme');
const secret = randomBytes(32);
const logins = 'auth/approle/login';
const renewals = 'auth/token/renew-self';
const forever = { ttl: '1h', maxTtl: '24h' };

describe('logins to Vault', function () {
  this.timeout(60_000);
  let provisioned: ProvisionedVault | undefined;
  const opener = createOpener();
  const errors: unknown[] = [];
  const under = (): ProvisionedVault => {
    assert.ok(provisioned !== undefined);
    return provisioned;
  };
  const refuses = async (work: Promise<unknown>, reason: string): Promise<void> => {
    await assert.rejects(work, (error: unknown) => {
      errors.push(error);
      return hasReason(reason)(error);
    });
  };
  /** How many requests a path has had since now. */
  const countFrom = (apiPath: string): (() => number) => {
    const before = under().requestsOn(apiPath);
    return () => under().requestsOn(apiPath) - before;
  };

  before(async function () {
    this.timeout(3_600_000);
    const vault = await openVault('dev');
    if (vault === undefined) this.skip();
    provisioned = await provision(vault);
    const kms = await opener.open(provisioned.config);
    await kms.rotate(acme);
  });
  afterEach(async () => {
    await opener.closeAll();
    await provisioned?.setTokenTerms(forever);
  });
  after(async () => {
    await provisioned?.vault.destroy();
  });

  it('are renewed before they expire, also when nobody calls', async () => {
    await under().setTokenTerms({ ttl: '2s', maxTtl: '1h' });
    const [loggedIn, renewed] = [countFrom(logins), countFrom(renewals)];
    const kms = await opener.open(under().config);
    await until(() => renewed() >= 3);
    await kms.wrap(acme, secret);
    assert.equal(loggedIn(), 1);
    assert.equal(kms.problem(), undefined);
  });

  it('are made anew before the end that renewing cannot pass', async () => {
    await under().setTokenTerms({ ttl: '2s', maxTtl: '3s' });
    const loggedIn = countFrom(logins);
    const kms = await opener.open(under().config);
    await until(() => loggedIn() >= 3);
    await kms.wrap(acme, secret);
  });

  it('are made anew when Vault no longer knows the token, once for many calls', async () => {
    const kms = await opener.open(under().config);
    const wrapped = await kms.wrap(acme, secret);
    await under().asRoot('PUT', 'sys/leases/revoke-prefix/auth/approle');
    const loggedIn = countFrom(logins);
    const opened = await Promise.all(
      Array.from({ length: 20 }, async () => await kms.unwrap(acme, wrapped)),
    );
    assert.ok(opened.every((bytes) => bytes.equals(secret)));
    assert.equal(loggedIn(), 1);
  });

  it('that lack a right say so, and are not repeated for it', async () => {
    const kms = await opener.open(under().config);
    const wrapped = await kms.wrap(acme, secret);
    const policy = 'path "transit/config/keys" { capabilities = ["read"] }';
    await under().asRoot('PUT', 'sys/policies/acl/little', { policy });
    await under().setTokenTerms(forever, ['little']);
    const loggedIn = countFrom(logins);
    const weak = await opener.open(under().config);
    for (let times = 0; times < 3; times += 1) {
      await refuses(weak.unwrap(acme, wrapped), 'KMS_ACCESS_DENIED');
      await refuses(weak.wrap(acme, secret), 'KMS_ACCESS_DENIED');
    }
    assert.equal(loggedIn(), 1);
    await under().setTokenTerms(forever, []);
    await refuses(opener.open(under().config), 'KMS_ACCESS_DENIED');
  });

  it('with a wrong, empty or missing secret id are refused', async () => {
    const { config, vault } = under();
    assert.ok(config.auth.method === 'approle');
    const secretIdFile = path.join(vault.folder, 'other-secret-id');
    const other = { ...config, auth: { ...config.auth, secretIdFile } };
    await refuses(opener.open(other), 'KMS_ACCESS_DENIED');
    writeFileSync(secretIdFile, '\n');
    await refuses(opener.open(other), 'KMS_ACCESS_DENIED');
    writeFileSync(secretIdFile, `${under().secretId.slice(0, -1)}x`);
    await refuses(opener.open(other), 'KMS_ACCESS_DENIED');
    // What was wrong at the start may be put right in the file.
    writeFileSync(secretIdFile, under().secretId);
    await (await opener.open(other)).wrap(acme, secret);
    rmSync(secretIdFile);
  });

  it('end with the adapter: its token is revoked', async () => {
    const revoked = countFrom('auth/token/revoke-self');
    const kms = await opener.open(under().config);
    await kms.close();
    await kms.close();
    assert.equal(revoked(), 1);
  });

  it('by a service account read its token at each login, as the cluster replaces it', async () => {
    await under().setTokenTerms({ ttl: '2s', maxTtl: '3s' });
    const loggedIn = countFrom('auth/kubernetes/login');
    const config = under().kubernetesConfig('system:serviceaccount:lethe:keys');
    const kms = await opener.open(config);
    await kms.wrap(acme, secret);
    under().kubernetesConfig('system:serviceaccount:other:keys');
    await until(() => kms.problem() !== undefined);
    assert.match(kms.problem() ?? '', /KMS_ACCESS_DENIED/);
    under().kubernetesConfig('system:serviceaccount:lethe:keys');
    await until(() => kms.problem() === undefined);
    await kms.wrap(acme, secret);
    assert.ok(loggedIn() >= 3);
  });

  it('with a token from a file take what something else puts there', async () => {
    const tokenFile = path.join(under().vault.folder, 'token');
    const makeToken = async (): Promise<string> => {
      const wish = { policies: ['lethe-keys'], ttl: '1h' };
      const body = await under().asRoot('POST', 'auth/token/create', wish);
      return (body as { readonly auth: { readonly client_token: string } }).auth.client_token;
    };
    const first = await makeToken();
    writeFileSync(tokenFile, first);
    const auth = { method: 'token-file', tokenFile } as const;
    const kms = await opener.open({ ...under().config, auth });
    await kms.wrap(acme, secret);
    await under().asRoot('POST', 'auth/token/revoke', { token: first });
    await refuses(kms.wrap(acme, secret), 'KMS_ACCESS_DENIED');
    writeFileSync(tokenFile, await makeToken());
    await kms.wrap(acme, secret);
  });

  it('leave no token, secret id or plaintext in errors and log lines', () => {
    const said = [...opener.lines, ...errors.map((error) => inspect(error, { depth: 10 }))];
    assert.ok(errors.length >= 10 && opener.lines.length >= 1);
    for (const text of said) {
      assert.ok(!/hv[sb]\.|dev-root-token|eyJ/.test(text), text);
      assert.ok(!text.includes(under().secretId.slice(0, -1)), text);
      assert.ok(!text.includes(secret.toString('base64')), text);
    }
  });
});
