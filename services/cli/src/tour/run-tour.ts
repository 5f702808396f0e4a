import { formatCount, formatDuration, formatRate } from '../output/numbers.ts';
import { pairsText } from '../output/table.ts';
import { differingMetrics, totalsOf, totalsText, type Totals } from '../views/totals.ts';
import { countsText, tallyText } from '../views/tally.ts';
import { checkProof } from './check-proof.ts';
import { eraseRequester, type ErasedRequester } from './erase-requester.ts';
import { loadHelpDesk } from './load-help-desk.ts';
import { findShowcase } from './showcase.ts';
import { readTourState, settingsOf, writeTourState, type TourState } from './tour-state.ts';
import { printHeading, type Loaded, type Timing, type Tour } from './tour.ts';
import { settingsWords, tenantFigures } from './tenant-figures.ts';
import { isUnreadable, showTranscript } from './transcript-step.ts';
import { waitUntilComplete } from './wait-complete.ts';

/** The tour that was completed here, or undefined: then `runTour` begins or goes on. */
export async function completedTour(dataFolder: string): Promise<TourState | undefined> {
  const state = await readTourState(dataFolder);
  return state?.stage === 'completed' ? state : undefined;
}

/**
 * Fills a help desk, shows what can be seen of it, erases a person and proves it. Each stage is written down when it
 * is done; if this process or the server dies, the next run goes on from the last stage and ends with equal totals,
 * as every id follows from the settings.
 */
export async function runTour(asked: Tour): Promise<TourReport> {
  const { dataFolder, surroundings } = asked;
  const { terminal, clock } = surroundings;
  const startedMs = clock.monotonicMs();
  const earlier = await readTourState(dataFolder);
  const settings = earlier === undefined ? asked.settings : settingsOf(earlier);
  const tour: Tour = { ...asked, settings };
  printHeading(
    tour,
    earlier === undefined ? 'A help desk is filled' : 'The interrupted tour goes on',
    settingsWords(settings),
  );
  const loaded = await load(tour, earlier);
  if (loaded === undefined) return { isCompleted: false };
  const showcase = findShowcase(settings);
  const figures = await figuresStep(tour, showcase.tenantId);
  printHeading(tour, 'The platform', 'all tenants together; an operator sees no more than this');
  terminal.out(totalsListText(loaded.totalsBefore, tour));
  const erased = await eraseRequester(tour, showcase, loaded);
  const proof = await afterwards(tour, loaded, erased);
  printHeading(tour, 'Timings', '');
  const timings = [...loaded.timings, figures, ...erased.timings];
  const total = ['whole tour', formatDuration(clock.monotonicMs() - startedMs)] as const;
  terminal.out(pairsText([...timings, total], terminal.outStyle));
  const isCompleted = proof.areTotalsEqual && proof.isUnreadable && proof.isCertificateValid;
  if (isCompleted) await writeTourState(dataFolder, { ...loaded.state, stage: 'completed' });
  const { erasureId, tenantId } = showcase;
  return {
    isCompleted,
    proof: { tenantId, erasureId, totalsBefore: loaded.totalsBefore, ...proof },
  };
}

/** How the tour ended, for machines. */
export interface TourReport {
  /** Everything that it checks held. */
  readonly isCompleted: boolean;
  /** Absent when it ended before the erasure. */
  readonly proof?: Proof & {
    readonly tenantId: string;
    readonly erasureId: string;
    readonly totalsBefore: Totals;
  };
}

/** What was found after the erasure. */
interface Proof {
  readonly totalsAfter: Totals;
  readonly areTotalsEqual: boolean;
  readonly isUnreadable: boolean;
  readonly isCertificateValid: boolean;
  readonly certificateFile: string;
}

async function load(tour: Tour, earlier: TourState | undefined): Promise<Loaded | undefined> {
  const { session, surroundings, dataFolder, settings } = tour;
  const { terminal } = surroundings;
  if (earlier?.totalsBefore !== undefined) {
    terminal.out('  all events were acknowledged by an earlier run\n');
    return { state: earlier, totalsBefore: earlier.totalsBefore, timings: [] };
  }
  const begun: TourState = { format: 1, ...settings, stage: 'loading' };
  await writeTourState(dataFolder, begun);
  const loaded = await loadHelpDesk(session, settings, surroundings);
  if (loaded.tally.problemCount > 0) {
    terminal.err(tallyText(loaded.tally, terminal.errStyle));
    return undefined;
  }
  terminal.out(`  ${countsText(loaded.tally)}\n`);
  const waitedFromMs = surroundings.clock.monotonicMs();
  const admin = session.as({ tenantId: undefined, roles: ['platform-admin'] });
  const totals = await waitUntilComplete(admin, loaded.acknowledgedAtMs, surroundings);
  const state: TourState = { ...begun, stage: 'loaded', totalsBefore: totalsOf(totals) };
  await writeTourState(dataFolder, state);
  const events = Object.values(loaded.tally.counts).reduce((sum, count) => sum + count, 0);
  const waitedMs = surroundings.clock.monotonicMs() - waitedFromMs;
  return {
    state,
    totalsBefore: totalsOf(totals),
    timings: [
      [
        'streaming',
        `${formatCount(events)} events in ${formatDuration(loaded.tookMs)}, ${formatRate(events, loaded.tookMs)}`,
      ],
      ['analytics complete', `${formatDuration(waitedMs)} after the last acknowledgement`],
    ],
  };
}

async function figuresStep(tour: Tour, tenantId: string): Promise<Timing> {
  const { session, surroundings, settings } = tour;
  const { terminal, clock } = surroundings;
  printHeading(tour, 'What one tenant sees', `${tenantId}, exact figures of its own`);
  const reader = session.as({ tenantId, roles: ['reader'] });
  const startedMs = clock.monotonicMs();
  const { text, queries } = await tenantFigures(reader, settings, terminal.outStyle);
  const tookMs = clock.monotonicMs() - startedMs;
  terminal.out(text);
  return ['tenant figures', `${queries} queries in ${formatDuration(tookMs)}`];
}

function totalsListText(
  totals: Readonly<Record<string, string>>,
  { surroundings: { terminal } }: Tour,
): string {
  const pairs = Object.entries(totals).map(
    ([metric, exact]) => [metric, formatCount(BigInt(exact)).padStart(10)] as const,
  );
  return pairsText(pairs, terminal.outStyle);
}

/** The same questions again; the answers are compared, not believed. */
async function afterwards(tour: Tour, loaded: Loaded, erased: ErasedRequester): Promise<Proof> {
  const { session, surroundings } = tour;
  const { terminal } = surroundings;
  const style = terminal.outStyle;
  printHeading(tour, 'The same ticket afterwards', '');
  const shown = await showTranscript(tour, erased.showcase);
  const admin = session.as({ tenantId: undefined, roles: ['platform-admin'] });
  printHeading(tour, 'The platform afterwards', 'counts stay, people go');
  const totals = await waitUntilComplete(admin, erased.completedAtMs, surroundings);
  terminal.out(totalsText(totals, style, loaded.totalsBefore));
  const differing = differingMetrics(loaded.totalsBefore, totalsOf(totals));
  terminal.out(
    differing.length === 0
      ? `  ${style.green('✔')} all ${Object.keys(loaded.totalsBefore).length} totals are equal before and after\n`
      : `  ${style.red('✘')} these totals differ: ${differing.join(', ')}\n`,
  );
  const isGone = isUnreadable(shown);
  if (!isGone) terminal.out(`  ${style.red('✘')} something of the ticket can still be read\n`);
  const { isValid, file } = await checkProof(tour, erased.showcase);
  return {
    totalsAfter: totalsOf(totals),
    areTotalsEqual: differing.length === 0,
    isUnreadable: isGone,
    isCertificateValid: isValid,
    certificateFile: file,
  };
}
