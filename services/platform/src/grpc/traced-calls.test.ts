import assert from 'node:assert/strict';
import type { ReadableSpan } from '@opentelemetry/sdk-trace';
import type { ServiceName } from '@lethe/proto/access.ts';
import { KeyServiceService } from '@lethe/proto/gen/lethe/keys/v1/service.ts';
import {
  type StreamTicketEventsRequest,
  TicketServiceService,
} from '@lethe/proto/gen/lethe/tickets/v1/service.ts';
import { ServiceError } from '../errors/service-error.ts';
import { systemClock } from '../lifecycle/clock.ts';
import type { Service } from '../lifecycle/service.ts';
import { createInMemorySpans, type InMemorySpans } from '../testing/in-memory-spans.ts';
import type { CallContext, RegisteredMethod, ServiceRegistration } from './handler.ts';
import { createInProcessNetwork } from './in-process.ts';
import { registerService } from './register.ts';
import { tracedPeers, tracedService } from './traced-calls.ts';
import { refuse, refusingKeys } from '../testing/refusing-keys.ts';

const append = { name: 'append', kind: 'internal' } as const;
const message: StreamTicketEventsRequest = { events: [] };

describe('calls in spans', () => {
  let spans: InMemorySpans;
  beforeEach(() => {
    spans = createInMemorySpans();
  });

  const traced = (registration: ServiceRegistration): Service =>
    tracedService(
      {
        publicApi: [registration],
        internalApi: [registration],
        start: async () => undefined,
        stop: async () => undefined,
        problem: () => undefined,
      },
      spans.telemetry,
      systemClock,
    );
  const only = (name: string): ReadableSpan => {
    const found = spans.ended().filter((span) => span.name === name);
    assert.equal(
      found.length,
      1,
      `${name} among ${spans
        .ended()
        .map((span) => span.name)
        .join()}`,
    );
    return found[0] as ReadableSpan;
  };
  const parentOf = (span: ReadableSpan) => span.parentSpanContext?.spanId;
  const idOf = (span: ReadableSpan) => span.spanContext().spanId;

  describe('of a stream of messages', () => {
    const method = (withMessage: () => Promise<void>): RegisteredMethod => {
      const registration = registerService(TicketServiceService, {
        appendTicketEvents: refuse,
        getTicket: refuse,
        listTickets: refuse,
        getTranscript: refuse,
        streamTicketEvents: async function* (requests, call) {
          const { aroundMessage } = call;
          assert.ok(aroundMessage);
          for await (const request of requests) {
            await aroundMessage(async () => await spans.telemetry.inSpan(append, withMessage));
            assert.deepEqual(request.events, []);
            yield { results: [] };
          }
        },
      });
      const [service] = traced(registration).publicApi;
      const { path } = TicketServiceService.streamTicketEvents;
      const found = service?.methods.find(({ definition }) => definition.path === path);
      assert.ok(found);
      return found;
    };
    const name = TicketServiceService.streamTicketEvents.path.slice(1);
    const answersOf = (found: RegisteredMethod, messages: number, signal?: AbortSignal) => {
      assert.equal(found.kind, 'bidi');
      const requests = async function* () {
        for (let nth = 0; nth < messages; nth += 1) yield message;
      };
      const call: CallContext = {
        caller: { kind: 'anonymous' },
        signal: signal ?? new AbortController().signal,
      };
      return found.handler(requests(), call);
    };

    it('are a trace for each message, linked to the one of the stream, which ends with it', async () => {
      let answers = 0;
      for await (const _ of answersOf(
        method(async () => undefined),
        3,
      )) {
        answers += 1;
        assert.ok(!spans.ended().some((span) => span.name === name));
      }
      assert.equal(answers, 3);
      const stream = only(name);
      assert.deepEqual(stream.attributes, {
        'rpc.system.name': 'grpc',
        'rpc.method': name,
        'rpc.response.status_code': 'OK',
      });
      assert.equal(parentOf(stream), undefined);
      const messages = spans.ended().filter((span) => span.name === 'rpc message');
      const traces = [stream, ...messages].map((span) => span.spanContext().traceId);
      assert.equal(new Set(traces).size, 4);
      for (const each of messages) {
        assert.deepEqual(each.attributes, { 'rpc.system.name': 'grpc', 'rpc.method': name });
        assert.deepEqual(
          each.links.map(({ context }) => context.spanId),
          [idOf(stream)],
        );
      }
      const appends = spans.ended().filter((span) => span.name === 'append');
      assert.deepEqual(appends.map(parentOf), messages.map(idOf));
    });

    it('say the reason of a message that fails, and the stream with it', async () => {
      const failing = method(async () => {
        throw new ServiceError('TENANT_UNKNOWN', 'maria@example.com');
      });
      await assert.rejects(async () => {
        for await (const _ of answersOf(failing, 2)) assert.fail('nothing is answered');
      }, /maria/);
      for (const each of [only(name), only('rpc message')]) {
        assert.equal(each.attributes['error.type'], 'TENANT_UNKNOWN');
        assert.deepEqual(each.status, { code: 2 });
      }
      assert.equal(only(name).attributes['rpc.response.status_code'], 'NOT_FOUND');
    });

    it('end when the reader leaves, without a word of how it was answered', async () => {
      for await (const _ of answersOf(
        method(async () => undefined),
        3,
      ))
        break;
      assert.deepEqual(only(name).attributes, { 'rpc.system.name': 'grpc', 'rpc.method': name });
      assert.equal(spans.ended().filter((span) => span.name === 'rpc message').length, 1);
    });

    it('end without a failure when the stream is ended from outside', async () => {
      const ending = new AbortController();
      await assert.rejects(async () => {
        const endless = method(async () => {
          ending.abort();
          throw new RangeError('cut');
        });
        for await (const _ of answersOf(endless, 2, ending.signal)) assert.fail('nothing');
      }, /cut/);
      assert.deepEqual(only(name).attributes, { 'rpc.system.name': 'grpc', 'rpc.method': name });
      assert.deepEqual(only(name).status, { code: 0 });
    });
  });

  describe('of a stream between services', () => {
    const watching = () => {
      const network = createInProcessNetwork();
      const handlers = {
        ...refusingKeys,
        watchRevocations: async function* ({ holderId }: { readonly holderId: string }) {
          for (let id = 0n; id < 2n; id += 1n) {
            await spans.telemetry.inSpan(append, async () => undefined);
            yield { revocationId: id, tenantId: holderId, scopes: [] };
          }
          if (holderId === 'fails') throw new ServiceError('KEYS_CATCHING_UP');
        },
      };
      const service = traced(registerService(KeyServiceService, handlers));
      network.register('keys', service.internalApi);
      const caller: ServiceName = 'tickets';
      const peers = tracedPeers(network.peersFor(caller), spans.telemetry, systemClock);
      return (holderId: string) =>
        peers('keys').serverStream(KeyServiceService.watchRevocations, { holderId });
    };
    const calls = () => {
      const of = spans.ended().filter((span) => span.name !== 'append');
      const [server, client] = of;
      assert.ok(server && client && of.length === 2);
      return { server, client };
    };

    it('are one of the client and below it one of the server, with what it does below that', async () => {
      const open = watching();
      for await (const { revocationId } of open('ends')) {
        assert.equal(spans.telemetry.current(), undefined, String(revocationId));
      }
      const { server, client } = calls();
      assert.equal(parentOf(client), undefined);
      assert.equal(parentOf(server), idOf(client));
      assert.equal(client.attributes['lethe.peer'], 'keys');
      assert.equal(client.attributes['rpc.response.status_code'], 'OK');
      const inner = spans.ended().filter((span) => span.name === 'append');
      assert.deepEqual(inner.map(parentOf), [idOf(server), idOf(server)]);
    });

    it('say the reason of a failure', async () => {
      const open = watching();
      await assert.rejects(async () => {
        for await (const { revocationId } of open('fails')) assert.ok(revocationId < 2n);
      }, ServiceError);
      const { server, client } = calls();
      for (const { attributes } of [server, client]) {
        assert.equal(attributes['error.type'], 'KEYS_CATCHING_UP');
        assert.equal(attributes['rpc.response.status_code'], 'UNAVAILABLE');
      }
    });
  });
});
