import assert from 'node:assert/strict';
import { createServer, type RequestListener, type Server } from 'node:http';
import { inspect } from 'node:util';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import { systemClock } from '@lethe/platform/lifecycle/clock.ts';
import { createVaultHttp } from './vault-http.ts';

/** What a Vault or a proxy before it may answer that the real one in the contract tests does not on demand. */
describe('requests to Vault', () => {
  const servers: Server[] = [];
  const sleeps: number[] = [];
  const clock = {
    ...systemClock,
    sleep: async (durationMs: number) => {
      sleeps.push(durationMs);
    },
  };
  const httpTo = async (listener: RequestListener, timeoutMs = 5_000) => {
    const server = createServer(listener);
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const bound = server.address();
    assert.ok(typeof bound === 'object' && bound !== null);
    const address = `http://127.0.0.1:${bound.port}`;
    return createVaultHttp({ address, namespace: 'team', timeoutMs, clock });
  };
  const token = 'hvs.the-token';
  const request = {
    method: 'POST',
    path: 'transit/encrypt/a',
    body: { plaintext: 'cGxhaW4=' },
    token,
  } as const;
  const reasonOf = async (sending: Promise<unknown>): Promise<string> => {
    try {
      await sending;
    } catch (error) {
      assert.ok(error instanceof ServiceError);
      assert.ok(!inspect(error, { depth: 10 }).includes(token), 'no token in an error');
      assert.ok(!inspect(error, { depth: 10 }).includes('cGxhaW4='), 'no plaintext in an error');
      return error.reason;
    }
    return 'none';
  };
  afterEach(async () => {
    sleeps.length = 0;
    for (const server of servers.splice(0)) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  });

  it('carry token and namespace, and answer 4xx as it is, at once', async () => {
    const seen: unknown[] = [];
    const http = await httpTo(({ headers }, response) => {
      seen.push([headers['x-vault-token'], headers['x-vault-namespace']]);
      response.writeHead(400).end('{"errors":["no"]}');
    });
    const answer = await http.send(request);
    assert.deepEqual([answer.status, answer.isOk], [400, false]);
    assert.deepEqual(seen, [[token, 'team']]);
  });

  it('are repeated twice while Vault fails, and then say so', async () => {
    let requests = 0;
    const http = await httpTo((_, response) => {
      requests += 1;
      response.writeHead(requests < 3 ? 500 : 200).end('<html>');
    });
    assert.deepEqual(await http.send(request), { status: 200, isOk: true, body: undefined });
    requests = -3;
    assert.equal(await reasonOf(http.send(request)), 'KMS_UNAVAILABLE');
    assert.equal(requests, 0);
    assert.deepEqual(sleeps, [100, 200, 100, 200]);
  });

  it('say whether a 503 means sealed, by asking Vault', async () => {
    let sealed = true;
    let asked = 0;
    const http = await httpTo(({ url }, response) => {
      asked += 1;
      const isStatus = url === '/v1/sys/seal-status';
      response.writeHead(isStatus ? 200 : 503);
      response.end(isStatus ? JSON.stringify({ sealed, initialized: true }) : '{"errors":[]}');
    });
    assert.equal(await reasonOf(http.send(request)), 'KMS_SEALED');
    assert.equal(asked, 2);
    sealed = false;
    assert.equal(await reasonOf(http.send(request)), 'KMS_UNAVAILABLE');
  });

  it('are repeated for what a replica, a quota or a proxy refuses for the moment', async () => {
    const statuses = [408, 412, 429, 200];
    const http = await httpTo((_, response) => {
      response.writeHead(statuses.shift() ?? 500).end('{}');
    });
    assert.equal(await reasonOf(http.send(request)), 'KMS_UNAVAILABLE');
    assert.equal((await http.send(request)).status, 200);
  });

  it('follow no redirect, as of a standby that cannot forward: a token goes to the configured address alone', async () => {
    let followed = false;
    const elsewhere = await httpTo((_, response) => {
      followed = true;
      response.end('{}');
    });
    let redirects = 3;
    const http = await httpTo((_, response) => {
      redirects -= 1;
      response.writeHead(redirects < 0 ? 200 : 307, { location: `${elsewhere.address}/v1/x` });
      response.end('{}');
    });
    assert.equal(await reasonOf(http.send(request)), 'KMS_UNAVAILABLE');
    redirects = 2;
    assert.equal((await http.send(request)).status, 200);
    assert.ok(!followed);
  });

  it('end when no answer comes, and when nobody listens', async () => {
    const http = await httpTo(() => {}, 20);
    assert.equal(await reasonOf(http.send(request)), 'KMS_UNAVAILABLE');
    const nobody = createVaultHttp({
      address: 'http://127.0.0.1:1',
      namespace: undefined,
      timeoutMs: 1_000,
      clock,
    });
    assert.equal(await reasonOf(nobody.send(request)), 'KMS_UNAVAILABLE');
  });
});
