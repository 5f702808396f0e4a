import { ServiceError } from '@lethe/platform/errors/service-error.ts';

/** A failure of the AWS SDK as far as it matters here; its message and response are not looked at, nor passed on. */
interface AwsFailure {
  readonly name: string;
  readonly status: number | undefined;
  readonly requestId: string;
}

/** AWS was asked too often, failed, or has a key in a state that passes: the same request may succeed later. */
const unavailable: ReadonlySet<string> = new Set([
  'ConflictException',
  'DependencyTimeoutException',
  'KMSInternalException',
  'KMSInvalidStateException',
  'KeyUnavailableException',
  'PriorRequestNotComplete',
  'RequestLimitExceeded',
  'RequestThrottled',
  'RequestThrottledException',
  'RequestTimeout',
  'RequestTimeoutException',
  'ServiceUnavailableException',
  'SlowDown',
  'Throttling',
  'ThrottlingException',
  'ThrottledException',
  'TooManyRequestsException',
  'TransactionInProgressException',
]);

/** Of answers whose name says nothing, as a proxy's. */
const statusesToRepeat: ReadonlySet<number> = new Set([408, 429]);

/** Names of refusals of the credentials or of a right. */
const denied =
  /^(AccessDenied|CredentialsProvider|DisabledException|ExpiredToken|IncompleteSignature|InvalidAccessKeyId|InvalidClientTokenId|InvalidSignature|InvalidToken|MissingAuthenticationToken|NotAuthorized|OptInRequired|RequestExpired|SignatureDoesNotMatch|TokenProvider|UnrecognizedClient)/;

/**
 * What a failed request means: KMS_UNAVAILABLE, KMS_ACCESS_DENIED or KMS_MISCONFIGURED, with the operation, AWS's name
 * for it and the id by which AWS's support finds it. No cause: an error of the SDK may carry the response, and a
 * response a key.
 */
export function awsError(error: unknown, operation: string): ServiceError {
  if (error instanceof ServiceError) return error;
  const { name, status, requestId } = failureOf(error);
  const said = `${name}${requestId}`;
  if (denied.test(name)) {
    return new ServiceError(
      'KMS_ACCESS_DENIED',
      `AWS KMS refuses ${operation} (${said}): check the credentials of keys and its policy (deploy/aws/keys-policy.json).`,
    );
  }
  if (name === 'LimitExceededException') {
    return new ServiceError(
      'KMS_UNAVAILABLE',
      `A quota of AWS KMS is used up at ${operation} (${said}): have it raised.`,
    );
  }
  if (unavailable.has(name) || isPassing(status)) {
    const what = status === undefined ? 'cannot be reached for' : 'failed at';
    return new ServiceError('KMS_UNAVAILABLE', `AWS KMS ${what} ${operation} (${said}).`);
  }
  return new ServiceError(
    'KMS_MISCONFIGURED',
    `AWS KMS answers ${operation} with ${said}: check region, endpoint and the key; see docs/operators/aws-kms.md.`,
  );
}

/** No answer at all is passing too. */
function isPassing(status: number | undefined): boolean {
  return status === undefined || status >= 500 || statusesToRepeat.has(status);
}

/** AWS's name for a failure, or undefined for what AWS did not answer. */
export function awsNameOf(error: unknown): string | undefined {
  const { name, status } = failureOf(error);
  return status === undefined ? undefined : name;
}

function failureOf(error: unknown): AwsFailure {
  if (!(error instanceof Error)) return { name: 'unknown', status: undefined, requestId: '' };
  const metadata: unknown = Reflect.get(error, '$metadata');
  const status = propertyOf(metadata, 'httpStatusCode');
  const requestId = propertyOf(metadata, 'requestId');
  const code = propertyOf(error, 'code');
  const isAnswered = typeof status === 'number' && isWord(error.name);
  return {
    // A lost connection says more by its code.
    name: !isAnswered && isWord(code) ? code : isWord(error.name) ? error.name : 'unknown',
    status: typeof status === 'number' ? status : undefined,
    requestId: isWord(requestId) ? `, request ${requestId}` : '',
  };
}

function propertyOf(from: unknown, name: string): unknown {
  return typeof from === 'object' && from !== null ? Reflect.get(from, name) : undefined;
}

function isWord(text: unknown): text is string {
  return typeof text === 'string' && /^[\w.:-]{1,100}$/.test(text);
}
