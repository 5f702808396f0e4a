export interface Once<Result> {
  /** Runs `make` at the first call; every call gets that one result. */
  (): Result;
  isMade(): boolean;
}

export function once<Result>(make: () => Result): Once<Result> {
  const made: Result[] = [];
  const get = () => {
    const result = made[0] ?? make();
    made[0] = result;
    return result;
  };
  return Object.assign(get, { isMade: () => made.length > 0 });
}
