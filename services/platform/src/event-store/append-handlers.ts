import type { AppendResult } from '@lethe/proto/gen/lethe/log/v1/append.ts';
import { requireTenant } from '../grpc/caller.ts';
import type { BidiHandler, UnaryHandler } from '../grpc/handler.ts';
import { appendBatch, type BatchAppender, type EventParser } from './append-batch.ts';

interface AppendRequest<Given> {
  readonly events: readonly Given[];
}

interface AppendResponse {
  results: AppendResult[];
}

export interface AppendHandlers<Given> {
  readonly append: UnaryHandler<AppendRequest<Given>, AppendResponse>;
  /**
   * One message after the other: the next is read when the one before is committed and its acknowledgement taken, so
   * a slow caller holds back nobody but itself, and a cut stream has stored what was acknowledged and possibly the one
   * message in flight.
   */
  readonly stream: BidiHandler<AppendRequest<Given>, AppendResponse>;
}

/** The two append RPCs that every owner of events has. */
export function createAppendHandlers<Given, Parsed, Command>(
  appender: BatchAppender<Command>,
  parser: EventParser<Given, Parsed, Command>,
): AppendHandlers<Given> {
  return {
    append: async ({ events }, call) => ({
      results: await appendBatch(appender, parser, requireTenant(call), events),
    }),
    stream: async function* (requests, call) {
      const tenantId = requireTenant(call);
      const { aroundMessage = async (work) => await work() } = call;
      for await (const { events } of requests) {
        const work = async () => await appendBatch(appender, parser, tenantId, events);
        yield { results: await aroundMessage(work) };
      }
    },
  };
}
