/** What a loss did: how far each partition's log goes, and whether it is ahead of what came back. */
export interface Loss {
  readonly ends: readonly { readonly logEnd: bigint; readonly isAhead: boolean }[];
}
