import assert from 'node:assert/strict';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { Secret } from '@lethe/platform/config/secret.ts';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import { createCertificateAuthority } from '@lethe/platform/testing/certificate-authority.ts';
import { openClickHouse } from './clickhouse-config.ts';
import { createLedger } from './ledger.ts';

const canary = 'ada@canary.example';

describe('a ClickHouse server that refuses', () => {
  const servers: Server[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) {
      server.closeAllConnections();
      server.close();
    }
  });

  /** What the ledger makes of a statement at such a server. */
  const failureAt = async (listening: Server, scheme: 'http' | 'https'): Promise<ServiceError> => {
    servers.push(listening);
    await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
    const { port } = listening.address() as AddressInfo;
    const config = {
      url: `${scheme}://127.0.0.1:${port}`,
      user: 'lethe_writer',
      password: new Secret('wrong'),
      authorityPem: undefined,
      requestTimeoutMs: 5_000,
    };
    const client = openClickHouse(config, 1);
    try {
      await createLedger({ client, database: 'ledger', statementsMax: 1 }).createTables();
    } catch (error) {
      assert.ok(error instanceof ServiceError, String(error));
      assert.ok(!error.message.includes(canary));
      return error;
    } finally {
      await client.close();
    }
    throw new assert.AssertionError({ message: 'the statement was taken' });
  };
  const answering = (status: number, said: string): RequestListener => {
    return (_request, response) => {
      response.statusCode = status;
      response.end(`${said}\n`);
    };
  };
  const refusing = async (code: number, type: string): Promise<ServiceError> => {
    const said = `Code: ${code}. DB::Exception: ${canary}: no. (${type}) (version 26.3.1.1)`;
    return await failureAt(createServer(answering(403, said)), 'http');
  };

  it('a login: the settings of the login are named', async () => {
    for (const [code, type] of [
      [516, 'AUTHENTICATION_FAILED'],
      [194, 'REQUIRED_PASSWORD'],
      [192, 'UNKNOWN_USER'],
    ] as const) {
      const { reason, message } = await refusing(code, type);
      assert.equal(reason, 'STORE_ACCESS_DENIED');
      assert.match(message, new RegExp(`${type}.*LETHE_CLICKHOUSE_USER.*CLICKHOUSE_PASSWORD_FILE`));
    }
  });

  it('a right: the page with the rights is named', async () => {
    const { reason, message } = await refusing(497, 'ACCESS_DENIED');
    assert.equal(reason, 'STORE_ACCESS_DENIED');
    assert.match(message, /docs\/operators\/clickhouse\.md/);
  });

  it('nothing, but shows a certificate of a stranger: the setting of the authority is named', async () => {
    const { certificate, privateKey } = createCertificateAuthority().issue({ ips: ['127.0.0.1'] });
    const stranger = createSecureServer(
      { cert: certificate, key: privateKey },
      answering(200, 'Ok.'),
    );
    const { reason, message } = await failureAt(stranger, 'https');
    assert.equal(reason, 'STORE_ACCESS_DENIED');
    assert.match(message, /LETHE_CLICKHOUSE_CA_FILE/);
  });

  it('for now may be asked again; a statement that it does not understand is a defect', async () => {
    assert.equal((await refusing(252, 'TOO_MANY_PARTS')).reason, 'STORE_UNAVAILABLE');
    assert.equal((await refusing(62, 'SYNTAX_ERROR')).reason, 'INTERNAL_DEFECT');
  });
});
