import type { AppendResult } from '@lethe/proto/gen/lethe/log/v1/append.ts';
import { appendResult, invalidResult } from './answers.ts';
import { createBatchTokens } from './batch-tokens.ts';
import type { EventStore } from './append.ts';
import type { AppendItem } from './family.ts';
import { createProblems, type Problems } from '../grpc/parse-request.ts';
import { requireBatchSize } from './parse-event.ts';
import type { TenantId } from '../ids/ids.ts';
import type { KeyClient, TokenMaker } from '../key-client/port.ts';

/** How an owner turns an event of a request into an item. */
export interface EventParser<Given, Parsed, Command> {
  /** Undefined when a rule is broken; every broken rule is then in `problems`. Pure. */
  parse(given: Given, problems: Problems): Parsed | undefined;
  /** Natural ids become tokens. Pure. */
  item(parsed: Parsed, tokens: TokenMaker): AppendItem<Command>;
}

export interface BatchAppender<Command> {
  readonly keys: KeyClient;
  readonly eventStore: EventStore<Command>;
}

/**
 * One append message: parse every event, append those that are valid, answer each in its place. Throws BATCH_SIZE and
 * what `EventStore.append` throws.
 */
export async function appendBatch<Given, Parsed, Command>(
  { keys, eventStore }: BatchAppender<Command>,
  parser: EventParser<Given, Parsed, Command>,
  tenantId: TenantId,
  events: readonly Given[],
): Promise<AppendResult[]> {
  requireBatchSize(events);
  const tokens = createBatchTokens(await keys.tokens(tenantId));
  const results: (AppendResult | undefined)[] = [];
  const items: AppendItem<Command>[] = [];
  for (const given of events) {
    const problems = createProblems();
    const parsed = parser.parse(given, problems);
    if (parsed === undefined || problems.found.length > 0)
      results.push(invalidResult(problems.found));
    else {
      results.push(undefined);
      items.push(parser.item(parsed, tokens));
    }
  }
  const answers = await eventStore.append(tenantId, items);
  let next = 0;
  return results.map((result) => {
    if (result !== undefined) return result;
    const [item, answer] = [items[next], answers[next]];
    next += 1;
    if (item === undefined || answer === undefined)
      throw new RangeError('fewer answers than items');
    return appendResult(item.eventId, answer);
  });
}
