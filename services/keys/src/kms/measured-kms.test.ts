import assert from 'node:assert/strict';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import { noTelemetry } from '@lethe/platform/telemetry/port.ts';
import { createHandClock } from '@lethe/platform/testing/hand-clock.ts';
import { createRecordingTelemetry } from '@lethe/platform/testing/recording-telemetry.ts';
import type { Reason } from '@lethe/proto/reasons.ts';
import { tenantNamed } from '../testing/keys-under-test.ts';
import { measuredKms } from './measured-kms.ts';
import type { Kms } from './port.ts';

const acme = tenantNamed('acme');
const secret = Buffer.alloc(32, 7);
const wrapped = Buffer.from('wrapped');

describe('the measured KMS', () => {
  const stops: AbortController[] = [];
  afterEach(() => {
    for (const stop of stops.splice(0)) stop.abort();
  });

  /** A KMS whose failure a test sets, and time that passes when told. */
  const setup = () => {
    const stop = new AbortController();
    stops.push(stop);
    const failure: { now: Reason | undefined } = { now: undefined };
    const calls: (readonly [name: string, given?: Buffer])[] = [];
    const answered = async <Answer>(answer: Answer, name: string, given?: Uint8Array) => {
      calls.push(given === undefined ? [name] : [name, Buffer.from(given)]);
      if (failure.now !== undefined) throw new ServiceError(failure.now);
      return answer;
    };
    const kms: Kms = {
      wrap: (_, plaintext) => answered(wrapped, 'wrap', plaintext),
      unwrap: (_, bytes) => answered(Buffer.from(secret), 'unwrap', bytes),
      rotate: () => answered(1, 'rotate'),
      destroyVersionsBefore: () => answered(undefined, 'destroyVersionsBefore'),
      destroyTenant: () => answered(undefined, 'destroyTenant'),
    };
    const sleepers: { readonly durationMs: number; readonly wake: () => void }[] = [];
    const clock = createHandClock(
      undefined,
      (durationMs, signal) =>
        new Promise((wake, reject) => {
          sleepers.push({ durationMs, wake });
          signal?.addEventListener('abort', () => reject(new Error('aborted')));
        }),
    );
    const { telemetry, recorded, look } = createRecordingTelemetry();
    const measured = measuredKms(kms, { telemetry, clock, stopping: stop.signal });
    const turn = () => new Promise((resolve) => setImmediate(resolve));
    const pass = async (durationMs: number): Promise<void> => {
      clock.advance(durationMs);
      const due = sleepers.splice(0);
      assert.ok(
        due.every((each) => each.durationMs <= durationMs),
        'nobody sleeps on',
      );
      for (const { wake } of due) wake();
      await turn();
    };
    const awaySeconds = async () => (await look('lethe.kms.away'))[0]?.value;
    const failed = async (call: Promise<unknown>): Promise<void> => {
      assert.ok(failure.now !== undefined);
      await assert.rejects(call, { reason: failure.now });
      await turn();
    };
    return {
      kms,
      measured,
      failure,
      calls,
      recorded,
      sleepers,
      stop,
      clock,
      pass,
      awaySeconds,
      failed,
      turn,
    };
  };

  for (const reason of [
    'KMS_UNAVAILABLE',
    'KMS_SEALED',
    'KMS_ACCESS_DENIED',
    'KMS_MISCONFIGURED',
  ] as const) {
    it(`tells for how long every call has failed with ${reason}, also while nobody calls`, async () => {
      const { measured, failure, recorded, pass, awaySeconds, failed } = setup();
      failure.now = reason;
      await failed(measured.unwrap(acme, wrapped));
      assert.equal(await awaySeconds(), 0);
      for (let round = 1; round <= 20; round += 1) await pass(5_000);
      assert.equal(await awaySeconds(), 100);
      assert.equal(recorded.length, 21);
      for (const { attributes } of recorded) {
        assert.deepEqual(attributes, { 'lethe.kms.operation': 'unwrap', 'error.type': reason });
      }
    });
  }

  it('goes on counting when one reason of being away follows another', async () => {
    const { measured, failure, clock, awaySeconds, failed } = setup();
    for (const reason of ['KMS_UNAVAILABLE', 'KMS_MISCONFIGURED', 'KMS_SEALED'] as const) {
      failure.now = reason;
      await failed(measured.unwrap(acme, wrapped));
      clock.advance(20_000);
    }
    assert.equal(await awaySeconds(), 60);
  });

  it('asks again every 5 s after one failed call that nobody repeats, until it is answered', async () => {
    const { measured, failure, calls, sleepers, pass, awaySeconds, failed } = setup();
    failure.now = 'KMS_UNAVAILABLE';
    await failed(measured.unwrap(acme, wrapped));
    assert.deepEqual(
      sleepers.map(({ durationMs }) => durationMs),
      [5_000],
    );
    await pass(5_000);
    failure.now = undefined;
    await pass(5_000);
    assert.equal(await awaySeconds(), 0);
    assert.deepEqual(
      calls,
      Array.from({ length: 3 }, () => ['unwrap', wrapped]),
    );
    assert.deepEqual(sleepers, [], 'and no more once it was');
  });

  it('is back with the first call that is answered, whatever the answer about the tenant is', async () => {
    for (const answer of [undefined, 'KMS_KEY_MISSING', 'KMS_UNWRAP_FAILED'] as const) {
      const { measured, failure, calls, pass, awaySeconds, failed } = setup();
      failure.now = 'KMS_SEALED';
      await failed(measured.unwrap(acme, wrapped));
      await pass(5_000);
      failure.now = answer;
      await measured.unwrap(acme, wrapped).catch(() => undefined);
      assert.equal(await awaySeconds(), 0);
      const before = calls.length;
      await pass(5_000);
      assert.equal(calls.length, before, 'nobody asks a KMS that is there');
      failure.now = 'KMS_SEALED';
      await failed(measured.unwrap(acme, wrapped));
      await pass(5_000);
      assert.equal(await awaySeconds(), 5);
      assert.equal(calls.length, before + 2);
    }
  });

  it('repeats nothing that changes something, and keeps no secret to repeat it', async () => {
    const failing: readonly ((kms: Kms) => Promise<unknown>)[] = [
      (kms) => kms.wrap(acme, secret),
      (kms) => kms.rotate(acme),
      (kms) => kms.destroyVersionsBefore(acme, 2),
      (kms) => kms.destroyTenant(acme),
    ];
    for (const call of failing) {
      const { measured, failure, calls, pass, awaySeconds, failed } = setup();
      failure.now = 'KMS_UNAVAILABLE';
      await failed(call(measured));
      await pass(5_000);
      failure.now = undefined;
      await pass(5_000);
      const zeros = ['wrap', Buffer.alloc(32)];
      assert.deepEqual(calls.slice(1), [zeros, zeros]);
      assert.equal(await awaySeconds(), 0);
    }
  });

  it('asks no more once the service stops', async () => {
    const { measured, failure, calls, sleepers, stop, failed, turn } = setup();
    failure.now = 'KMS_UNAVAILABLE';
    await failed(measured.unwrap(acme, wrapped));
    assert.equal(sleepers.length, 1);
    stop.abort();
    await turn();
    await failed(measured.unwrap(acme, wrapped));
    assert.deepEqual([calls.length, sleepers.length], [2, 1]);
  });

  it('answers as the KMS does, and is the KMS itself where nothing is measured', async () => {
    const { kms, measured, recorded, clock, stop } = setup();
    assert.deepEqual(await measured.wrap(acme, secret), wrapped);
    assert.deepEqual(await measured.unwrap(acme, wrapped), secret);
    assert.equal(await measured.rotate(acme), 1);
    await measured.destroyVersionsBefore(acme, 1);
    await measured.destroyTenant(acme);
    assert.deepEqual(
      recorded.map(({ attributes }) => attributes),
      ['wrap', 'unwrap', 'rotate', 'destroy_versions', 'destroy_tenant'].map((operation) => ({
        'lethe.kms.operation': operation,
      })),
    );
    const ports = { telemetry: noTelemetry, clock, stopping: stop.signal };
    assert.equal(measuredKms(kms, ports), kms);
  });
});
