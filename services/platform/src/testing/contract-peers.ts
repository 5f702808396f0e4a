import assert from 'node:assert/strict';
import type { ServiceName } from '@lethe/proto/access.ts';
import { KeyServiceService } from '@lethe/proto/gen/lethe/keys/v1/service.ts';
import { SequenceServiceService } from '@lethe/proto/gen/lethe/log/v1/service.ts';
import { DatabaseError } from '../database/database-error.ts';
import { ServiceError } from '../errors/service-error.ts';
import { isTransient } from '../retry/is-transient.ts';
import type { CallContext, Peers, ServiceRegistration } from '../grpc/handler.ts';
import { registerService } from '../grpc/register.ts';
import { refusingKeys } from './refusing-keys.ts';

/** Services that call each other, however that is done. */
export interface NetworkSubject {
  /** Lets `service` answer from now on. */
  serve(service: ServiceName, registrations: readonly ServiceRegistration[]): Promise<void>;
  peersFor(caller: ServiceName): Promise<Peers>;
  close(): Promise<void>;
}

const { missing, heads } = SequenceServiceService;
const missingRequest = { topic: 'tickets.v1', partition: 0, fromSequence: 3n, toSequence: 5n };
const stored = { erased: [{ fromSequence: 3n, toSequence: 5n }] };

const hasReason = (reason: string) => (error: unknown) => {
  assert.ok(error instanceof ServiceError, String(error));
  assert.equal(error.reason, reason, error.message);
  return true;
};

/** Until its caller has had enough. */
async function untilAborted({ signal }: CallContext): Promise<never> {
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  throw signal.reason;
}

/** What every implementation of `Peers` does; run against each. */
export function peersContract(name: string, create: () => Promise<NetworkSubject>): void {
  describe(`peers contract: ${name}`, () => {
    let network: NetworkSubject;
    let contexts: CallContext[];
    let watching: number;
    const failure = new ServiceError('KEYS_CATCHING_UP', 'Partition 3 is being read.', {
      retryDelayMs: 1_250,
      violations: [{ field: 'events[3].occurred_at', description: 'is before 2000' }],
    });
    const sequences = registerService(SequenceServiceService, {
      missing: async (_request, call) => {
        contexts.push(call);
        return stored;
      },
      heads: async ({ topic }, call) => {
        if (topic === 'typed') throw failure;
        if (topic === 'slow') return untilAborted(call);
        if (topic === 'lost') throw Object.assign(new Error('secret'), { code: 'ECONNRESET' });
        throw new DatabaseError('23505', 'maria@example.com was refused');
      },
    });
    const keys = registerService(KeyServiceService, {
      ...refusingKeys,
      watchRevocations: async function* ({ holderId }, { signal }) {
        watching += 1;
        try {
          for (let id = 0n; id < 3n; id += 1n) {
            yield { revocationId: id, tenantId: holderId, scopes: [] };
          }
          if (holderId === 'fails') throw failure;
          if (holderId === 'ends') return;
          if (signal.aborted) return;
          await new Promise((resolve) => signal.addEventListener('abort', resolve));
        } finally {
          watching -= 1;
        }
      },
    });
    beforeEach(async () => {
      contexts = [];
      watching = 0;
      network = await create();
    });
    afterEach(async () => {
      await network.close();
    });
    const analytics = async () => (await network.peersFor('analytics'))('tickets');
    const watch = async (holderId: string, signal?: AbortSignal) =>
      (await network.peersFor('analytics'))('keys').serverStream(
        KeyServiceService.watchRevocations,
        { holderId },
        signal === undefined ? {} : { signal },
      );
    const untilNobodyWatches = async () => {
      for (let turn = 0; watching > 0 && turn < 2_000; turn++) {
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
      assert.equal(watching, 0);
    };

    it('answers a copy, and the handler knows which service calls', async () => {
      await network.serve('tickets', [sequences]);
      const answer = await (await analytics()).unary(missing, missingRequest);
      assert.deepEqual(answer, stored);
      assert.notEqual(answer.erased, stored.erased);
      assert.deepEqual(contexts[0]?.caller, { kind: 'service', service: 'analytics' });
    });

    it('refuses a caller that the access table does not list, by its name', async () => {
      await network.serve('tickets', [sequences]);
      const privacy = (await network.peersFor('privacy'))('tickets');
      await assert.rejects(privacy.unary(missing, missingRequest), hasReason('SERVICES_ONLY'));
      assert.equal(contexts.length, 0);
    });

    it('refuses a method that the service does not serve', async () => {
      await network.serve('tickets', []);
      const call = (await analytics()).unary(missing, missingRequest);
      await assert.rejects(call, hasReason('METHOD_NOT_LISTED'));
    });

    it('passes a typed error on: reason, code, message, violations, delay', async () => {
      await network.serve('tickets', [sequences]);
      const call = (await analytics()).unary(heads, { topic: 'typed' });
      const error = await call.then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      assert.ok(error instanceof ServiceError, String(error));
      const { reason, code, message, violations, retryDelayMs } = error;
      assert.deepEqual(
        { reason, code, message, violations, retryDelayMs },
        {
          reason: failure.reason,
          code: failure.code,
          message: failure.message,
          violations: failure.violations,
          retryDelayMs: failure.retryDelayMs,
        },
      );
    });

    it('makes a typed error of any other, without a word of it', async () => {
      await network.serve('tickets', [sequences]);
      const peer = await analytics();
      for (const [topic, reason] of [
        ['broken', 'INTERNAL_DEFECT'],
        ['lost', 'STORE_UNAVAILABLE'],
      ] as const) {
        await assert.rejects(peer.unary(heads, { topic }), (error) => {
          hasReason(reason)(error);
          assert.doesNotMatch(String(error), /maria|secret/);
          return true;
        });
      }
    });

    it('says that a service is away in a way that callers retry, and finds it once it is there', async () => {
      const peer = await analytics();
      await assert.rejects(peer.unary(missing, missingRequest), (error) => {
        hasReason('SERVICE_UNAVAILABLE')(error);
        return isTransient(error);
      });
      await assert.rejects(async () => {
        for await (const message of await watch('ends')) assert.fail(String(message.revocationId));
      }, hasReason('SERVICE_UNAVAILABLE'));
      await network.serve('tickets', [sequences]);
      for (;;) {
        try {
          assert.deepEqual(await peer.unary(missing, missingRequest), stored);
          return;
        } catch (error) {
          // The next attempt to connect has its time.
          hasReason('SERVICE_UNAVAILABLE')(error);
        }
      }
    });

    it('gives up in time, in a way that callers retry', async () => {
      await network.serve('tickets', [sequences]);
      const call = (await analytics()).unary(heads, { topic: 'slow' }, { timeoutMs: 50 });
      await assert.rejects(
        call,
        (error) => hasReason('CALL_TIMED_OUT')(error) && isTransient(error),
      );
    });

    it('ends with its caller, whose own reason it throws', async () => {
      await network.serve('tickets', [sequences]);
      const ending = new AbortController();
      const peer = await analytics();
      const call = peer.unary(heads, { topic: 'slow' }, { signal: ending.signal });
      setTimeout(() => ending.abort(new RangeError('enough')), 20);
      await assert.rejects(call, /enough/);
    });

    it('streams in order to the end', async () => {
      await network.serve('keys', [keys]);
      const ids: bigint[] = [];
      for await (const { revocationId } of await watch('ends')) ids.push(revocationId);
      assert.deepEqual(ids, [0n, 1n, 2n]);
    });

    it('passes on what a stream ends with, after what came before', async () => {
      await network.serve('keys', [keys]);
      const ids: bigint[] = [];
      await assert.rejects(async () => {
        for await (const { revocationId } of await watch('fails')) ids.push(revocationId);
      }, hasReason('KEYS_CATCHING_UP'));
      assert.deepEqual(ids, [0n, 1n, 2n]);
    });

    it('ends a stream at its handler when its reader leaves or is aborted', async () => {
      await network.serve('keys', [keys]);
      for await (const { revocationId } of await watch('stays')) if (revocationId === 1n) break;
      await untilNobodyWatches();
      const ending = new AbortController();
      await assert.rejects(async () => {
        for await (const { revocationId } of await watch('stays', ending.signal)) {
          if (revocationId === 2n) ending.abort(new RangeError('enough'));
        }
      }, /enough/);
      await untilNobodyWatches();
    });
  });
}
