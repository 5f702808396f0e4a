import type { Token } from '../ids/ids.ts';
import type { TokenMaker } from '../key-client/port.ts';

/** Remembers what `make` gave for each text. */
function remembering<Made>(make: (text: string) => Made): (text: string) => Made {
  const known = new Map<string, Made>();
  return (text) => {
    const made = known.get(text) ?? make(text);
    known.set(text, made);
    return made;
  };
}

/**
 * The same tokens, each hashed once: a batch names the same tickets and people again and again. For one batch alone,
 * because it keeps natural ids in memory.
 */
export function createBatchTokens(tokens: TokenMaker): TokenMaker {
  const aliases = {
    email: remembering<Token>((value) => tokens.alias('email', value)),
    phone: remembering<Token>((value) => tokens.alias('phone', value)),
    id: remembering<Token>((value) => tokens.alias('id', value)),
  };
  return {
    ticket: remembering((naturalId) => tokens.ticket(naturalId)),
    person: remembering((naturalId) => tokens.person(naturalId)),
    alias: (kind, value) => aliases[kind](value),
    eventIdFromSource: (sourceId) => tokens.eventIdFromSource(sourceId),
    derivedEventId: (...parts) => tokens.derivedEventId(...parts),
  };
}
