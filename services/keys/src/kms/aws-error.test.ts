import assert from 'node:assert/strict';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import { awsError } from './aws-error.ts';

const answered = (name: string, httpStatusCode = 400) =>
  Object.assign(new Error('a text that is not passed on'), {
    name,
    $metadata: { httpStatusCode, requestId: '7c1d-44' },
  });

describe('errors of AWS KMS', () => {
  const reasonOf = (error: unknown): string => awsError(error, 'Decrypt').reason;

  it('are unavailable when asked too often or when AWS fails or cannot be reached', () => {
    for (const name of [
      'ThrottlingException',
      'KMSInternalException',
      'KeyUnavailableException',
      'KMSInvalidStateException',
      'RequestTimeout',
    ]) {
      assert.equal(reasonOf(answered(name)), 'KMS_UNAVAILABLE', name);
    }
    for (const status of [408, 429, 502]) {
      assert.equal(reasonOf(answered('Whatever', status)), 'KMS_UNAVAILABLE', String(status));
    }
    const refused = Object.assign(new Error(), { code: 'ECONNREFUSED' });
    assert.match(awsError(refused, 'Decrypt').message, /reached for Decrypt \(ECONNREFUSED\)/);
    assert.equal(reasonOf(Object.assign(new Error(), { name: 'TimeoutError' })), 'KMS_UNAVAILABLE');
    assert.equal(reasonOf('not even an error'), 'KMS_UNAVAILABLE');
  });

  it('are refusals where credentials or rights are wrong, whether AWS or the SDK says so', () => {
    for (const name of [
      'AccessDeniedException',
      'UnrecognizedClientException',
      'InvalidSignatureException',
      'ExpiredTokenException',
      'DisabledException',
    ]) {
      assert.equal(reasonOf(answered(name)), 'KMS_ACCESS_DENIED', name);
    }
    const none = Object.assign(new Error('no provider'), { name: 'CredentialsProviderError' });
    assert.equal(reasonOf(none), 'KMS_ACCESS_DENIED');
  });

  it('are unavailable while a quota is used up, which is raised without a restart', () => {
    const { reason, message } = awsError(answered('LimitExceededException'), 'CreateKey');
    assert.equal(reason, 'KMS_UNAVAILABLE');
    assert.match(message, /quota/);
  });

  it('are misconfigurations for the rest, which do not pass by themselves', () => {
    for (const name of ['ValidationException', 'InvalidArnException', 'NotFoundException']) {
      assert.equal(reasonOf(answered(name)), 'KMS_MISCONFIGURED', name);
    }
  });

  it('name the operation and the request, and quote nothing', () => {
    const { message, cause } = awsError(answered('AccessDeniedException'), 'Decrypt');
    assert.match(message, /Decrypt \(AccessDeniedException, request 7c1d-44\)/);
    assert.doesNotMatch(message, /a text/);
    assert.equal(cause, undefined);
    const strange = answered('a name with "blanks"');
    assert.doesNotMatch(awsError(strange, 'Decrypt').message, /blanks/);
  });

  it('keep what is one of ours', () => {
    const ours = new ServiceError('KMS_ACCESS_DENIED', 'the file');
    assert.equal(awsError(ours, 'Decrypt'), ours);
  });
});
