import { AppendOutcome, type AppendResult } from '@lethe/proto/gen/lethe/log/v1/append.ts';

/** How often each answer came. */
export interface AppendCounts {
  readonly accepted: number;
  readonly duplicate: number;
  readonly conflict: number;
  readonly erased: number;
  readonly unknownTicket: number;
  readonly invalid: number;
}

/** Why one event was not taken. */
export interface AppendProblem {
  /** Where it came from, such as "line 17"; never a value. */
  readonly place: string;
  readonly reason: string;
  readonly rules: readonly string[];
}

export interface AppendTally {
  readonly counts: AppendCounts;
  /** The first hundred; `problemCount` says how many there were. */
  readonly problems: readonly AppendProblem[];
  readonly problemCount: number;
}

/** Adds up the answers of a send. */
export interface TallyKeeper {
  /** `placeOf` says where the event at this index came from. */
  add(results: readonly AppendResult[], placeOf: (index: number) => string): void;
  /** Every event that was answered. */
  total(): number;
  tally(): AppendTally;
}

const names: Readonly<Record<AppendOutcome, keyof AppendCounts>> = {
  [AppendOutcome.APPEND_OUTCOME_ACCEPTED]: 'accepted',
  [AppendOutcome.APPEND_OUTCOME_DUPLICATE]: 'duplicate',
  [AppendOutcome.APPEND_OUTCOME_CONFLICT]: 'conflict',
  [AppendOutcome.APPEND_OUTCOME_ERASED]: 'erased',
  [AppendOutcome.APPEND_OUTCOME_UNKNOWN_TICKET]: 'unknownTicket',
  [AppendOutcome.APPEND_OUTCOME_INVALID]: 'invalid',
  [AppendOutcome.APPEND_OUTCOME_UNSPECIFIED]: 'invalid',
  [AppendOutcome.UNRECOGNIZED]: 'invalid',
};

/** What is no fault of the sender: "erased" is what erasure is for. */
const isFine: Readonly<Record<keyof AppendCounts, boolean>> = {
  accepted: true,
  duplicate: true,
  erased: true,
  conflict: false,
  unknownTicket: false,
  invalid: false,
};

const problemsKeptMax = 100;

export function createTallyKeeper(): TallyKeeper {
  const counts = {
    accepted: 0,
    duplicate: 0,
    conflict: 0,
    erased: 0,
    unknownTicket: 0,
    invalid: 0,
  };
  const problems: AppendProblem[] = [];
  let problemCount = 0;
  return {
    add: (results, placeOf) => {
      results.forEach((result, index) => {
        const name = names[result.outcome];
        counts[name] += 1;
        if (isFine[name]) return;
        problemCount += 1;
        if (problems.length < problemsKeptMax) {
          const rules = result.violations.map(
            ({ field, description }) => `${field}: ${description}`,
          );
          problems.push({ place: placeOf(index), reason: result.reason || name, rules });
        }
      });
    },
    total: () => Object.values(counts).reduce((sum, count) => sum + count, 0),
    tally: () => ({ counts: { ...counts }, problems: [...problems], problemCount }),
  };
}
