import { ServiceError } from '../errors/service-error.ts';

/**
 * What the broker answers to a producer that another one has fenced, or whose transaction is over because it took too
 * long: it is not the writer any more.
 */
const fencedTypes: ReadonlySet<string> = new Set([
  'INVALID_PRODUCER_EPOCH',
  'PRODUCER_FENCED',
  'INVALID_PRODUCER_ID_MAPPING',
  'INVALID_TXN_STATE',
  'UNKNOWN_PRODUCER_ID',
  'OUT_OF_ORDER_SEQUENCE_NUMBER',
  'TRANSACTION_COORDINATOR_FENCED',
]);

/**
 * Turns a failure of the client library into a ServiceError that says what was being done: SEQUENCE_CONFLICT for a
 * fenced producer, LOG_ACCESS_DENIED, LOG_CODEC_UNSUPPORTED, EVENT_TOO_LARGE, else STORE_UNAVAILABLE. The library's
 * messages name brokers, topics and rules, no values.
 */
export function kafkaError(error: unknown, doing: string): ServiceError {
  const chain = chainOf(error);
  const known = chain.find((each) => each instanceof ServiceError);
  if (known !== undefined) return known;
  const types = chain.map((each) => textOf(each, 'type'));
  const names = chain.map((each) => each.name);
  const details = { cause: error };
  if (types.some((type) => fencedTypes.has(type))) {
    return new ServiceError('SEQUENCE_CONFLICT', `${doing}: another writer was opened`, details);
  }
  if (types.some(isRefusal) || chain.some(isRefusedLogin)) {
    const refusal = types.find(isRefusal) ?? 'authentication failed';
    return new ServiceError('LOG_ACCESS_DENIED', `${doing}: ${refusal}`, details);
  }
  if (names.includes('KafkaJSNotImplemented')) {
    const codec = chain.map((each) => each.message).join('; ');
    return new ServiceError('LOG_CODEC_UNSUPPORTED', `${doing}: ${codec}`, details);
  }
  if (types.some((type) => type === 'MESSAGE_TOO_LARGE' || type === 'RECORD_LIST_TOO_LARGE')) {
    const advice = 'raise max.message.bytes of the topic as docs/operators/kafka.md says';
    return new ServiceError('EVENT_TOO_LARGE', `${doing}: ${advice}`, details);
  }
  if (names.includes('KafkaJSGroupCoordinatorNotFound')) {
    // No broker answered at all; a refusal is passed on (kafka-refusals.ts).
    return new ServiceError(
      'STORE_UNAVAILABLE',
      `${doing}: no coordinator: Kafka is starting`,
      details,
    );
  }
  const what = chain[0]?.message ?? 'failed';
  return new ServiceError('STORE_UNAVAILABLE', `${doing}: ${what}`, details);
}

function isRefusal(type: string): boolean {
  return type.endsWith('_AUTHORIZATION_FAILED') || type === 'SASL_AUTHENTICATION_FAILED';
}

/**
 * The library makes the same error of a broker that says no and of one that says nothing in time, which is busy or
 * restarting: only its words differ.
 */
function isRefusedLogin({ name, message }: Error): boolean {
  if (name !== 'KafkaJSSASLAuthenticationError') return false;
  return !/timed out|timeout|connection|socket/i.test(message);
}

/**
 * An error and its causes; the library wraps the broker's answer once or twice, and where it asked for several things
 * at once it has one error with all of theirs.
 */
function chainOf(error: unknown, chain: Error[] = []): Error[] {
  if (!(error instanceof Error) || chain.includes(error)) return chain;
  chain.push(error);
  const errors: unknown = Reflect.get(error, 'errors');
  for (const each of Array.isArray(errors) ? errors : []) chainOf(each, chain);
  return chainOf(error.cause, chain);
}

function textOf(error: Error, property: string): string {
  const value: unknown = Reflect.get(error, property);
  return typeof value === 'string' ? value : '';
}
