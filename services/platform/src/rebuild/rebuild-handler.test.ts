import assert from 'node:assert/strict';
import type { RebuildResponse } from '@lethe/proto/gen/lethe/rebuild/v1/service.ts';
import { RebuildReport } from '@lethe/proto/gen/lethe/rebuild/v1/service.ts';
import { ServiceError } from '../errors/service-error.ts';
import { createRebuildRpc, type RebuildCall } from './rebuild-handler.ts';

const request = { checkOnly: false, acceptDifferences: false };

function callOf(signal = new AbortController().signal) {
  return { caller: { kind: 'platform', subject: 'test', roles: [] }, signal } as const;
}

function progress(done: bigint) {
  const value = { phase: 1, done, total: 0n, chunksRefolded: 0n, chunksCopied: 0n } as const;
  return { $case: 'progress', value } as const;
}

const report = { $case: 'report', value: RebuildReport.fromPartial({ swapped: true }) } as const;

async function taken(responses: AsyncIterable<RebuildResponse>): Promise<readonly unknown[]> {
  const steps: unknown[] = [];
  for await (const { step } of responses) steps.push(step);
  return steps;
}

/** Runs until its signal fires, as a rebuild that looks at it does. */
async function untilAborted({ signal }: RebuildCall): Promise<void> {
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  signal.throwIfAborted();
}

describe('the stream of a rebuild', () => {
  it('tells the newest progress and ends with the report', async () => {
    const { handler } = createRebuildRpc(async ({ tell }) => {
      tell(progress(1n));
      tell(progress(2n));
      await new Promise((resolve) => setImmediate(resolve));
      tell(report);
    });
    assert.deepEqual(await taken(handler(request, callOf())), [progress(2n), report]);
  });

  it('ends with what the rebuild ended with', async () => {
    const { handler } = createRebuildRpc(async () => {
      throw new ServiceError('REBUILD_RUNNING', 'another one');
    });
    await assert.rejects(taken(handler(request, callOf())), { reason: 'REBUILD_RUNNING' });
  });

  it('refuses a check that accepts differences', () => {
    const { handler } = createRebuildRpc(async () => {});
    const both = { checkOnly: true, acceptDifferences: true };
    assert.throws(() => handler(both, callOf()), { reason: 'INVALID_FIELDS' });
  });

  it('ends the rebuild when the caller cancels', async () => {
    const leaving = new AbortController();
    const { handler } = createRebuildRpc(untilAborted);
    const all = taken(handler(request, callOf(leaving.signal)));
    leaving.abort();
    await assert.rejects(all, { reason: 'SHUTTING_DOWN' });
  });

  it('ends the rebuild when nobody reads its stream any more', async () => {
    let hasEnded = false;
    const { handler, stop } = createRebuildRpc(async (call) => {
      call.tell(progress(1n));
      await untilAborted(call).finally(() => {
        hasEnded = true;
      });
    });
    // Leaving the loop returns the generator, as the server does when a stream breaks.
    for await (const { step } of handler(request, callOf())) {
      assert.deepEqual(step, progress(1n));
      break;
    }
    await stop();
    assert.ok(hasEnded);
  });

  it('ends the rebuild with the service, and waits for it', async () => {
    let hasEnded = false;
    const { handler, stop } = createRebuildRpc(async (call) => {
      await untilAborted(call).finally(() => {
        hasEnded = true;
      });
    });
    const all = taken(handler(request, callOf()));
    await stop();
    assert.ok(hasEnded);
    await assert.rejects(all, /The service is stopping; the rebuild was undone/);
  });
});
