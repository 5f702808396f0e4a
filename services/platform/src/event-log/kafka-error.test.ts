import assert from 'node:assert/strict';
import { ServiceError } from '../errors/service-error.ts';
import { kafkaError } from './kafka-error.ts';

/** An error as the client library makes them: the broker's answer in `type`, wrapped by what gave up. */
function answered(type: string, name = 'KafkaJSProtocolError'): Error {
  const answer = Object.assign(new Error(`the broker says ${type}`), { name, type });
  return new Error('gave up', { cause: answer });
}

describe('errors of Kafka', () => {
  const reasonOf = (error: unknown): string => kafkaError(error, 'appending').reason;

  it('say what happened to the writer, the principal, the codec or the store', () => {
    assert.equal(reasonOf(answered('INVALID_PRODUCER_EPOCH')), 'SEQUENCE_CONFLICT');
    assert.equal(reasonOf(answered('PRODUCER_FENCED')), 'SEQUENCE_CONFLICT');
    assert.equal(reasonOf(answered('TOPIC_AUTHORIZATION_FAILED')), 'LOG_ACCESS_DENIED');
    assert.equal(reasonOf(answered('', 'KafkaJSSASLAuthenticationError')), 'LOG_ACCESS_DENIED');
    assert.equal(reasonOf(answered('', 'KafkaJSNotImplemented')), 'LOG_CODEC_UNSUPPORTED');
    assert.equal(reasonOf(answered('MESSAGE_TOO_LARGE')), 'EVENT_TOO_LARGE');
    assert.equal(reasonOf(answered('NOT_ENOUGH_REPLICAS')), 'STORE_UNAVAILABLE');
    assert.equal(reasonOf('not even an error'), 'STORE_UNAVAILABLE');
  });

  it('take a login that nobody answers for an outage, and not for a refusal', () => {
    const login = (said: string) =>
      Object.assign(new Error(`SASL SCRAM SHA512 authentication failed: ${said}`), {
        name: 'KafkaJSSASLAuthenticationError',
      });
    const late = login('Request SaslAuthenticate(key: 36, version: 1) timed out');
    assert.equal(reasonOf(late), 'STORE_UNAVAILABLE');
    assert.equal(reasonOf(login('Connection error: socket hang up')), 'STORE_UNAVAILABLE');
    const wrong = login('Authentication failed due to invalid credentials with SASL mechanism');
    assert.equal(reasonOf(wrong), 'LOG_ACCESS_DENIED');
  });

  it('look into what failed together', () => {
    const refused = answered('TOPIC_AUTHORIZATION_FAILED');
    const together = Object.assign(new Error('several'), { errors: [new Error('one'), refused] });
    assert.equal(reasonOf(together), 'LOG_ACCESS_DENIED');
    assert.match(kafkaError(together, 'creating').message, /TOPIC_AUTHORIZATION_FAILED/);
  });

  it('take a cluster without coordinators for one that is starting', () => {
    assert.equal(reasonOf(answered('', 'KafkaJSGroupCoordinatorNotFound')), 'STORE_UNAVAILABLE');
  });

  it('keep what is one of ours, however deep', () => {
    const ours = new ServiceError('RECORD_MALFORMED', 'offset 3');
    assert.equal(kafkaError(new Error('outer', { cause: ours }), 'reading'), ours);
  });

  it('end with errors that name each other as their cause', () => {
    const [a, b] = [new Error('a'), new Error('b')];
    a.cause = b;
    b.cause = a;
    assert.equal(reasonOf(a), 'STORE_UNAVAILABLE');
  });
});
