import { ServiceError } from '@lethe/platform/errors/service-error.ts';

/**
 * Closed after every start until privacy.v1 has been consumed to its end: a store restored from a copy would otherwise
 * lease keys that were destroyed after the copy was made.
 */
export interface CatchUp {
  /** Throws KEYS_CATCHING_UP while closed. */
  require(): void;
  /** For good: later events arrive by RPC too, and a lease that crosses one is revoked. */
  open(): void;
  isOpen(): boolean;
}

const retryDelayMs = 200;

export function createCatchUp(): CatchUp {
  let isOpen = false;
  return {
    require: () => {
      if (!isOpen) throw new ServiceError('KEYS_CATCHING_UP', undefined, { retryDelayMs });
    },
    open: () => {
      isOpen = true;
    },
    isOpen: () => isOpen,
  };
}
