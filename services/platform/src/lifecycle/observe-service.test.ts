import assert from 'node:assert/strict';
import { createRecordingTelemetry } from '../testing/recording-telemetry.ts';
import { observeProblems } from './observe-service.ts';

describe('problems that are told', () => {
  it('are the reasons that a part names, and none of its words', async () => {
    const { telemetry, look } = createRecordingTelemetry();
    observeProblems(telemetry, {
      relay: () => undefined,
      projection: () =>
        'partition tickets.v1/3 stopped: SEQUENCE_GAP at 17..19; partition tickets.v1/4 waits: STORE_UNAVAILABLE, attempt 7; SEQUENCE_GAP',
      tls: () => 'tls: the certificate /home/MARIA_LINDQVIST/cert.pem has expired',
    });
    const projection = { 'lethe.component': 'projection' };
    assert.deepEqual(await look('lethe.problems'), [
      { value: 0, attributes: { 'lethe.component': 'relay' } },
      { value: 1, attributes: { ...projection, 'error.type': 'SEQUENCE_GAP' } },
      { value: 1, attributes: { ...projection, 'error.type': 'STORE_UNAVAILABLE' } },
      { value: 1, attributes: { 'lethe.component': 'tls' } },
    ]);
  });
});
