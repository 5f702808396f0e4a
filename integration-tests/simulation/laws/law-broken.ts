/** A promise of the product that a run broke. */
export class LawBroken extends Error {
  override readonly name = 'LawBroken';
  readonly law: string;

  constructor(law: string, message: string) {
    super(message);
    this.law = law;
  }
}

/** Throws LawBroken unless it holds. */
export function must(holds: boolean, law: string, says: () => string): void {
  if (!holds) throw new LawBroken(law, says());
}
