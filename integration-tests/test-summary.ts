/**
 * Mocha loads this file before every run (see .mocharc.json). It closes a run with one line of
 * numbers and makes skipped tests loud: a guard whose test was skipped guards nothing.
 */
function skippedTitles(suite: Mocha.Suite): string[] {
  const own = suite.tests.filter((test) => test.isPending()).map((test) => test.fullTitle());
  return [...own, ...suite.suites.flatMap(skippedTitles)];
}

/** Prints the summary; mocha counts what this throws as one more failure. */
export function mochaGlobalTeardown(this: Mocha.Runner): void {
  const { passes = 0, failures = 0 } = this.stats ?? {};
  const skipped = skippedTitles(this.suite);
  if (skipped.length > 0) {
    console.error(`\n!!! ${skipped.length} SKIPPED, NOT CHECKED:`);
    for (const title of skipped) console.error(`!!!   ${title}`);
  }
  console.log(`\n${passes} passed, ${failures} failed, ${skipped.length} skipped`);
  if (passes + failures === 0) throw new Error('No test was run.');
  if (skipped.length > 0 && process.env['CI'] === 'true') {
    throw new Error('CI accepts no skipped test: make it run, or remove it.');
  }
}
