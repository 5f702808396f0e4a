import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { inspect } from 'node:util';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import type { TenantId } from '@lethe/platform/ids/ids.ts';
import { systemClock } from '@lethe/platform/lifecycle/clock.ts';
import { createLogger } from '@lethe/platform/log/logger.ts';
import { type AwsKms, openAwsKms } from './aws-kms.ts';
import { encodeAwsWrapped } from './aws-wrapped.ts';

const acme = 'acme' as TenantId;
const first = '11111111-1111-4111-8111-111111111111';
const second = '22222222-2222-4222-8222-222222222222';
const secret = Buffer.from('a tenant key of thirty-two bytes');
const ciphertext = { CiphertextBlob: Buffer.from('sealed').toString('base64') };
const notFound = { __type: 'NotFoundException' };
const taken = { __type: 'AlreadyExistsException' };
const described = (keyId: string) => ({
  KeyMetadata: {
    KeyId: keyId,
    KeySpec: 'SYMMETRIC_DEFAULT',
    KeyUsage: 'ENCRYPT_DECRYPT',
    Origin: 'AWS_KMS',
    KeyState: 'Enabled',
    MultiRegion: false,
  },
});
const listed = (...keyIds: readonly string[]) => ({
  Aliases: keyIds.map((keyId, at) => ({
    AliasName: `alias/lethe/acme/${at + 1}`,
    TargetKeyId: keyId,
  })),
});

type Answer = Readonly<Record<string, unknown>>;
/** For each operation what it answers, one after the other; the last for ever. */
type Script = Readonly<Record<string, readonly Answer[]>>;
interface Asked {
  readonly operation: string;
  readonly body: Record<string, unknown>;
}

/** What AWS does that LocalStack does not: it knows late what it has just made, and fails on demand. */
describe('AWS KMS that lags or fails', () => {
  const servers: Server[] = [];
  const opened: AwsKms[] = [];
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'lethe-aws-'));
    writeFileSync(join(folder, 'id'), 'AKIAIOSFODNN7EXAMPLE');
    writeFileSync(join(folder, 'secret'), 'not-a-secret-of-anybody');
  });
  afterEach(async () => {
    for (const kms of opened.splice(0)) await kms.close();
    for (const server of servers.splice(0)) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  });
  after(() => rmSync(folder, { recursive: true }));

  const openTo = async (script: Script, accessKey = 'secret') => {
    const asked: Asked[] = [];
    const server = createServer((request, response) => {
      void text(request).then((body) => {
        const target = String(request.headers['x-amz-target']);
        const operation = target.replace('TrentService.', '');
        const before = asked.filter((each) => each.operation === operation).length;
        asked.push({ operation, body: JSON.parse(body) as Asked['body'] });
        const answers = script[operation] ?? [{ __type: `Unscripted${operation}` }];
        const answer = answers[Math.min(before, answers.length - 1)] ?? {};
        const status = typeof answer['status'] === 'number' ? answer['status'] : undefined;
        response.writeHead(status ?? ('__type' in answer ? 400 : 200), {
          'content-type': 'application/x-amz-json-1.1',
        });
        response.end(typeof answer['raw'] === 'string' ? answer['raw'] : JSON.stringify(answer));
      });
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const bound = server.address();
    assert.ok(typeof bound === 'object' && bound !== null);
    let passedMs = 0;
    const clock = {
      ...systemClock,
      monotonicMs: () => passedMs,
      sleep: async (durationMs: number) => {
        passedMs += durationMs;
      },
    };
    const config = {
      region: 'eu-central-1',
      endpoint: `http://127.0.0.1:${bound.port}`,
      aliasPrefix: 'lethe',
      pendingWindowDays: 7,
      accessKey: {
        accessKeyIdFile: join(folder, 'id'),
        secretAccessKeyFile: join(folder, accessKey),
        sessionTokenFile: undefined,
      },
      timeoutMs: 5_000,
    };
    const logger = createLogger({ service: 'keys', level: 'silent' });
    const kms = await openAwsKms(config, { clock, logger });
    opened.push(kms);
    const bodiesOf = (operation: string) =>
      asked.filter((each) => each.operation === operation).map(({ body }) => body);
    return { kms, bodiesOf };
  };
  const reasonOf = async (work: Promise<unknown>): Promise<string> => {
    try {
      await work;
    } catch (error) {
      assert.ok(error instanceof ServiceError, inspect(error));
      const all = inspect(error, { depth: 10 });
      for (const word of ['not-a-secret', secret.toString('base64')]) {
        assert.ok(!all.includes(word), 'no secret in an error');
      }
      return error.reason;
    }
    return 'none';
  };

  it('wraps with the version that was just made, though it is not listed yet', async () => {
    const { kms, bodiesOf } = await openTo({
      ListAliases: [listed(first)],
      CreateKey: [described(second)],
      CreateAlias: [{}],
      DescribeKey: [described(second)],
      Encrypt: [ciphertext],
    });
    assert.equal(await kms.rotate(acme), 2);
    await kms.wrap(acme, secret);
    assert.equal(bodiesOf('Encrypt')[0]?.['KeyId'], second);
    assert.deepEqual(bodiesOf('Encrypt')[0]?.['EncryptionContext'], { 'lethe:tenant': 'acme' });
    // The next one comes behind it, and a destruction finds both.
    assert.equal(await kms.rotate(acme), 3);
  });

  it('waits for a key that AWS does not know everywhere yet', async () => {
    const { kms, bodiesOf } = await openTo({
      ListAliases: [listed()],
      CreateKey: [described(first)],
      CreateAlias: [notFound, notFound, {}],
      DescribeKey: [notFound, described(first)],
      Encrypt: [notFound, ciphertext],
      Decrypt: [notFound, { Plaintext: secret.toString('base64') }],
    });
    assert.equal(await kms.rotate(acme), 1);
    const wrapped = await kms.wrap(acme, secret);
    assert.equal(bodiesOf('Encrypt').length, 2);
    assert.deepEqual(await kms.unwrap(acme, wrapped), secret);
  });

  it('takes a key that stays unknown though its alias is there for away, not for destroyed', async () => {
    const { kms } = await openTo({
      ListAliases: [listed(first)],
      Decrypt: [notFound],
      DescribeKey: [notFound],
    });
    const wrapped = encodeAwsWrapped({ keyId: first, blob: Buffer.from('sealed') });
    assert.equal(await reasonOf(kms.unwrap(acme, wrapped)), 'KMS_UNAVAILABLE');
    assert.equal(await reasonOf(kms.wrap(acme, secret)), 'KMS_UNAVAILABLE');
    const other = encodeAwsWrapped({ keyId: second, blob: Buffer.from('sealed') });
    assert.equal(await reasonOf(kms.unwrap(acme, other)), 'KMS_UNWRAP_FAILED');
  });

  it('takes a name that its own key has for its own, as after an answer that was lost', async () => {
    const { kms, bodiesOf } = await openTo({
      ListAliases: [listed()],
      CreateKey: [described(first)],
      CreateAlias: [taken],
      DescribeKey: [notFound, described(first)],
    });
    assert.equal(await kms.rotate(acme), 1);
    assert.equal(bodiesOf('CreateAlias').length, 1);
  });

  it('takes the next name where another process has this one', async () => {
    const { kms, bodiesOf } = await openTo({
      ListAliases: [listed()],
      CreateKey: [described(second)],
      CreateAlias: [taken, {}],
      DescribeKey: [described(first)],
    });
    assert.equal(await kms.rotate(acme), 2);
    assert.deepEqual(
      bodiesOf('CreateAlias').map((body) => body['TargetKeyId']),
      [second, second],
    );
  });

  it('deletes a key that AWS did not know at first, and only then its name', async () => {
    const { kms, bodiesOf } = await openTo({
      ListAliases: [listed(first), listed(first), listed()],
      ScheduleKeyDeletion: [notFound, { KeyState: 'PendingDeletion' }],
      DescribeKey: [notFound],
      DeleteAlias: [{}],
    });
    await kms.destroyTenant(acme);
    assert.deepEqual(
      bodiesOf('ScheduleKeyDeletion').map((body) => body['PendingWindowInDays']),
      [7, 7],
    );
    assert.deepEqual(bodiesOf('DeleteAlias'), [{ AliasName: 'alias/lethe/acme/1' }]);
  });

  it('destroys nothing where AWS cannot delete the key, and says its state', async () => {
    const updating = { KeyMetadata: { ...described(first).KeyMetadata, KeyState: 'Updating' } };
    const { kms, bodiesOf } = await openTo({
      ListAliases: [listed(first)],
      ScheduleKeyDeletion: [{ __type: 'KMSInvalidStateException' }],
      DescribeKey: [updating],
      Decrypt: [{ __type: 'KMSInvalidStateException' }],
    });
    assert.equal(await reasonOf(kms.destroyTenant(acme)), 'KMS_UNAVAILABLE');
    assert.deepEqual(bodiesOf('DeleteAlias'), []);
    const wrapped = encodeAwsWrapped({ keyId: first, blob: Buffer.from('sealed') });
    assert.equal(await reasonOf(kms.unwrap(acme, wrapped)), 'KMS_UNAVAILABLE');
  });

  it('asks again when it is throttled, and then says so', async () => {
    const throttled = { __type: 'ThrottlingException' };
    const wrapped = encodeAwsWrapped({ keyId: first, blob: Buffer.from('sealed') });
    const Plaintext = secret.toString('base64');
    const passing = await openTo({ ListAliases: [listed()], Decrypt: [throttled, { Plaintext }] });
    assert.deepEqual(await passing.kms.unwrap(acme, wrapped), secret);
    const lasting = await openTo({ ListAliases: [listed()], Decrypt: [throttled] });
    assert.equal(await reasonOf(lasting.kms.unwrap(acme, wrapped)), 'KMS_UNAVAILABLE');
    assert.equal(lasting.bodiesOf('Decrypt').length, 3);
  }).timeout(20_000);

  it('quotes nothing of an answer that cannot be read', async () => {
    const raw = `{"Plaintext": "${secret.toString('base64')}", `;
    const { kms } = await openTo({ ListAliases: [listed()], Decrypt: [{ raw }] });
    const wrapped = encodeAwsWrapped({ keyId: first, blob: Buffer.from('sealed') });
    assert.notEqual(await reasonOf(kms.unwrap(acme, wrapped)), 'none');
  });

  it('does not start without its right or its credentials', async () => {
    const denied = openTo({ ListAliases: [{ __type: 'AccessDeniedException' }] });
    assert.equal(await reasonOf(denied), 'KMS_ACCESS_DENIED');
    const withoutFile = openTo({ ListAliases: [listed()] }, 'missing');
    assert.equal(await reasonOf(withoutFile), 'KMS_ACCESS_DENIED');
  });
});
