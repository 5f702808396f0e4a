import assert from 'node:assert/strict';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import { parseKmsConfig } from './kms-config.ts';

const approle = {
  LETHE_KEYS_KMS: 'vault',
  LETHE_KEYS_VAULT_ADDRESS: 'https://vault.internal:8200',
  LETHE_KEYS_VAULT_AUTH: 'approle',
  LETHE_KEYS_VAULT_ROLE_ID_FILE: '/etc/lethe/role-id',
  LETHE_KEYS_VAULT_SECRET_ID_FILE: '/etc/lethe/secret-id',
};

const brokenFields = (env: Readonly<Record<string, string>>): readonly string[] => {
  try {
    parseKmsConfig(env);
  } catch (error) {
    assert.ok(error instanceof ServiceError && error.reason === 'CONFIG_INVALID');
    return error.violations.map(({ field }) => field);
  }
  return [];
};

describe('parseKmsConfig', () => {
  it('is the keyring by default', () => {
    assert.deepEqual(parseKmsConfig({}), { kind: 'keyring' });
  });

  it('has defaults for Vault', () => {
    assert.deepEqual(parseKmsConfig(approle), {
      kind: 'vault',
      vault: {
        address: 'https://vault.internal:8200',
        namespace: undefined,
        transitMount: 'transit',
        keyPrefix: 'lethe-',
        auth: {
          method: 'approle',
          mount: 'approle',
          roleIdFile: '/etc/lethe/role-id',
          secretIdFile: '/etc/lethe/secret-id',
        },
        timeoutMs: 3_000,
      },
    });
  });

  it('knows the Kubernetes login and a token file', () => {
    const kubernetes = { ...approle, LETHE_KEYS_VAULT_AUTH: 'kubernetes' };
    assert.deepEqual(brokenFields(kubernetes), ['LETHE_KEYS_VAULT_ROLE']);
    const config = parseKmsConfig({ ...kubernetes, LETHE_KEYS_VAULT_ROLE: 'lethe' });
    assert.deepEqual(config.kind === 'vault' && config.vault.auth, {
      method: 'kubernetes',
      mount: 'kubernetes',
      role: 'lethe',
      jwtFile: '/var/run/secrets/kubernetes.io/serviceaccount/token',
    });
    const tokenFile = { ...approle, LETHE_KEYS_VAULT_AUTH: 'token-file' };
    assert.deepEqual(brokenFields(tokenFile), ['LETHE_KEYS_VAULT_TOKEN_FILE']);
  });

  it('names every file that the login lacks', () => {
    const { LETHE_KEYS_KMS, LETHE_KEYS_VAULT_ADDRESS, LETHE_KEYS_VAULT_AUTH } = approle;
    assert.deepEqual(
      brokenFields({ LETHE_KEYS_KMS, LETHE_KEYS_VAULT_ADDRESS, LETHE_KEYS_VAULT_AUTH }),
      ['LETHE_KEYS_VAULT_ROLE_ID_FILE', 'LETHE_KEYS_VAULT_SECRET_ID_FILE'],
    );
  });

  it('sends keys in the clear over loopback alone', () => {
    const withAddress = (address: string) =>
      brokenFields({ ...approle, LETHE_KEYS_VAULT_ADDRESS: address });
    for (const address of ['http://127.0.0.1:8200', 'http://[::1]:8200', 'http://localhost:1']) {
      assert.deepEqual(withAddress(address), [], address);
    }
    for (const address of [
      'http://vault.internal:8200',
      'http://127.0.0.1.example.com',
      'vault:8200',
      'https://user:word@vault.internal',
      'https://vault.internal/v1',
      '',
    ]) {
      assert.deepEqual(withAddress(address), ['LETHE_KEYS_VAULT_ADDRESS'], address);
    }
  });

  it('has defaults for AWS, and finds credentials by itself', () => {
    const env = { LETHE_KEYS_KMS: 'aws', LETHE_KEYS_AWS_REGION: 'eu-central-1' };
    assert.deepEqual(parseKmsConfig(env), {
      kind: 'aws',
      aws: {
        region: 'eu-central-1',
        endpoint: undefined,
        aliasPrefix: 'lethe',
        pendingWindowDays: 7,
        accessKey: undefined,
        timeoutMs: 3_000,
      },
    });
  });

  it('names everything that is wrong for AWS', () => {
    const env = {
      LETHE_KEYS_KMS: 'aws',
      LETHE_KEYS_AWS_REGION: 'Frankfurt',
      LETHE_KEYS_AWS_ENDPOINT: 'http://kms.internal',
      LETHE_KEYS_AWS_ALIAS_PREFIX: 'aws',
      LETHE_KEYS_AWS_PENDING_WINDOW_DAYS: '6',
      LETHE_KEYS_AWS_SESSION_TOKEN_FILE: 'relative',
    };
    assert.deepEqual(brokenFields(env), Object.keys(env).slice(1));
    assert.deepEqual(
      brokenFields({
        LETHE_KEYS_KMS: 'aws',
        LETHE_KEYS_AWS_REGION: 'us-gov-west-1',
        LETHE_KEYS_AWS_SESSION_TOKEN_FILE: '/run/token',
      }),
      ['LETHE_KEYS_AWS_ACCESS_KEY_ID_FILE', 'LETHE_KEYS_AWS_SECRET_ACCESS_KEY_FILE'],
    );
  });
});
