import type { Token } from '@lethe/platform/ids/ids.ts';

/** What keys knows of a token that may be a person's own or another id of theirs. */
export interface KnownToken {
  readonly token: Token;
  /** A data key or a fence stands under this very token. */
  readonly isPerson: boolean;
  /** Persons of whom this token is an alias, ascending. */
  readonly aliasOf: readonly Token[];
}

/**
 * The person that a natural id's token means. A token that is a person of its own stays one; an alias leads to its
 * person only when there is exactly one, because persons who share an alias stay separate.
 */
export function canonicalPerson({ token, isPerson, aliasOf }: KnownToken): Token {
  const [only, ...others] = aliasOf;
  return isPerson || only === undefined || others.length > 0 ? token : only;
}

/** Every person that a request by this token may mean, ascending; none when it was never seen. */
export function personsBehind({ token, isPerson, aliasOf }: KnownToken): readonly Token[] {
  return isPerson ? [...new Set([token, ...aliasOf])].toSorted() : aliasOf;
}
