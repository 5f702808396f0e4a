/** The stores of a data folder, in the order in which they are looked at. */
export type StoreName = 'folder' | 'keys' | 'event log' | 'database' | 'ledger';

/**
 * What was found in one store, in words for an operator.
 * - `sound`: nothing to do.
 * - `mendable`: `lethe repair` mends it, as `action` says.
 * - `mended`: it has just done so.
 * - `lost`: nothing here can mend it; `action` says what the operator can do.
 */
export interface Finding {
  readonly store: StoreName;
  readonly state: 'sound' | 'mendable' | 'mended' | 'lost';
  readonly what: string;
  readonly action: string;
}

/** Something to mend. */
export interface Mendable {
  readonly store: StoreName;
  readonly what: string;
  readonly action: string;
  /** Answers what was done, in the past tense. */
  readonly mend: () => Promise<string>;
  /** Whether what comes after it can only be judged once it is mended. */
  readonly hidesTheRest?: true;
}

/** What nothing here can mend. */
export interface Lost {
  readonly store: StoreName;
  readonly what: string;
  readonly action: string;
  readonly isLost: true;
}

/** One look at a store: nothing when it is sound. */
export type Look = () => Promise<readonly (Mendable | Lost)[]>;
