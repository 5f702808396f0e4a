import assert from 'node:assert/strict';
import { ServiceError } from '../errors/service-error.ts';
import { DatabaseError, sanitizeDatabaseError } from './database-error.ts';
import { postgresError } from './postgres-pool.ts';

const canary = 'ada@canary.example';

/** As `pg` throws what a server answers. */
function answer(code: string, message = 'refused'): Error {
  return Object.assign(new Error(message), { code, detail: canary, severity: 'FATAL' });
}

function refusalOf(error: unknown): ServiceError {
  assert.ok(error instanceof ServiceError, String(error));
  assert.equal(error.reason, 'STORE_ACCESS_DENIED');
  return error;
}

describe('what a database refuses', () => {
  it('at the login is typed and says which setting to correct, and of whom it is says nothing', () => {
    const settings = [
      ['28P01', /LETHE_POSTGRES_PASSWORD_FILE/],
      ['28000', /LETHE_POSTGRES_URL.*pg_hba\.conf/],
      ['3D000', /create it, or correct LETHE_POSTGRES_URL/],
      ['42501', /docs\/operators\/postgresql\.md/],
    ] as const;
    for (const [state, setting] of settings) {
      const { message, cause } = refusalOf(postgresError(answer(state, `of user "${canary}"`)));
      assert.match(message, setting);
      assert.match(message, new RegExp(state));
      assert.ok(!message.includes(canary));
      assert.ok(cause instanceof DatabaseError && cause.sqlState === state);
    }
  });

  it('because there is no password, or the server knows none, is a login too', () => {
    for (const said of [
      'SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a string',
      'SASL: SCRAM-SERVER-FINAL-MESSAGE: server signature does not match',
      'Password must be a string',
    ]) {
      const { message } = refusalOf(postgresError(new Error(said)));
      assert.match(message, /LETHE_POSTGRES_PASSWORD_FILE/);
    }
  });

  it('about TLS names the setting, and callers may repeat: nothing is wrong with what they ask', () => {
    const { message, code } = refusalOf(
      postgresError(answer('SELF_SIGNED_CERT_IN_CHAIN', 'self-signed certificate in chain')),
    );
    assert.match(message, /SELF_SIGNED_CERT_IN_CHAIN.*LETHE_POSTGRES_CA_FILE/);
    assert.equal(code, 'UNAVAILABLE');
  });

  it('about a statement stays what it was', () => {
    const broken = sanitizeDatabaseError(answer('23505', `of "${canary}"`));
    assert.ok(broken instanceof DatabaseError && broken.sqlState === '23505');
    assert.ok(!broken.message.includes(canary));
    const started = sanitizeDatabaseError(answer('57P03'));
    assert.ok(started instanceof ServiceError && started.reason === 'STORE_UNAVAILABLE');
  });
});
