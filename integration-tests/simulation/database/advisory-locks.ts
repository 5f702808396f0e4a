/** Who holds an advisory lock: a transaction or a session. */
export type LockOwner = object;

/**
 * The advisory locks of one database. PGlite has one connection, on which nobody ever waits for anybody; here they
 * exclude each other as on a server. Waiters have no order: whoever is chosen next gets it, which is harder to bear.
 */
export interface AdvisoryLocks {
  mayTake(owner: LockOwner, numbers: readonly bigint[], isShared: boolean): boolean;
  take(owner: LockOwner, numbers: readonly bigint[], isShared: boolean): void;
  /** At the end of the transaction or session. */
  release(owner: LockOwner): void;
}

export function createAdvisoryLocks(): AdvisoryLocks {
  const held = new Map<bigint, Map<LockOwner, boolean>>();
  const isFree = (owner: LockOwner, number: bigint, isShared: boolean): boolean =>
    [...(held.get(number) ?? [])].every(
      ([holder, holdsShared]) => holder === owner || (isShared && holdsShared),
    );
  return {
    mayTake: (owner, numbers, isShared) =>
      numbers.every((number) => isFree(owner, number, isShared)),
    take: (owner, numbers, isShared) => {
      for (const number of numbers) {
        const holders = held.get(number) ?? new Map<LockOwner, boolean>();
        // Shared after exclusive stays exclusive.
        holders.set(owner, isShared && holders.get(owner) !== false);
        held.set(number, holders);
      }
    },
    release: (owner) => {
      for (const [number, holders] of held) {
        holders.delete(owner);
        if (holders.size === 0) held.delete(number);
      }
    },
  };
}
