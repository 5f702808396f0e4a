import { ErasureGround } from '@lethe/proto/gen/lethe/privacy/v1/enums.ts';
import { PrivacyServiceService, type Erasure } from '@lethe/proto/gen/lethe/privacy/v1/service.ts';
import { watchErasure } from '../calls/watch-erasure.ts';
import type { Caller } from '../connection/session.ts';
import { exitCodes } from '../exit-codes.ts';
import { CliError } from '../failures/cli-error.ts';
import { formatDuration } from '../output/numbers.ts';
import { changeLine, clocksText, previewText, receiptsText } from '../views/erasure.ts';
import { printHeading, type Loaded, type Tour } from './tour.ts';
import type { Showcase } from './showcase.ts';
import { writeTourState } from './tour-state.ts';
import { showTranscript } from './transcript-step.ts';

export interface ErasedRequester {
  readonly showcase: Showcase;
  /** When the erasure was seen to be completed, milliseconds since 1970 UTC. */
  readonly completedAtMs: number;
  readonly timings: readonly (readonly [name: string, value: string])[];
}

/** Shows the ticket, asks what would go, erases its requester and follows the clocks. */
export async function eraseRequester(
  tour: Tour,
  showcase: Showcase,
  loaded: Loaded,
): Promise<ErasedRequester> {
  const { session, surroundings, dataFolder } = tour;
  const { terminal, clock } = surroundings;
  const officer = session.as({ tenantId: showcase.tenantId, roles: ['privacy-officer'] });
  const request = {
    person: { $case: 'personId', value: showcase.personId },
    ground: ErasureGround.ERASURE_GROUND_CONSENT_WITHDRAWN,
    confirmedPersonTokens: [],
    erasureId: showcase.erasureId,
  } as const;
  if (loaded.state.stage === 'loaded') {
    printHeading(tour, 'A ticket of that tenant', 'as its agents see it');
    await showTranscript(tour, showcase);
    printHeading(tour, 'Its requester withdraws consent', 'what would go, by service');
    const { preview } = await officer.unary(PrivacyServiceService.requestErasure, {
      ...request,
      confirmedPersonTokens: [],
      dryRun: true,
    });
    if (preview !== undefined) terminal.out(previewText(preview, terminal.outStyle));
    // Written before the request: if this process dies in between, the next run asks with the same id.
    await writeTourState(dataFolder, { ...loaded.state, stage: 'erasing' });
  }
  printHeading(tour, 'The erasure', showcase.erasureId);
  await officer.unary(PrivacyServiceService.requestErasure, {
    ...request,
    confirmedPersonTokens: [],
    dryRun: false,
  });
  const erasure = await follow(tour, officer, showcase.erasureId);
  terminal.out(clocksText(erasure, terminal.outStyle));
  terminal.out(receiptsText(erasure, terminal.outStyle));
  return { showcase, completedAtMs: clock.nowMs(), timings: timingsOf(erasure) };
}

async function follow(
  { session, surroundings: { terminal, clock } }: Tour,
  officer: Caller,
  erasureId: string,
): Promise<Erasure> {
  const startedMs = clock.monotonicMs();
  let last: Erasure | undefined;
  for await (const erasure of watchErasure(officer, erasureId, session.means)) {
    const change = changeLine(last, erasure);
    const elapsed = formatDuration(clock.monotonicMs() - startedMs).padStart(8);
    if (change !== undefined) terminal.out(`  ${terminal.outStyle.dim(elapsed)}  ${change}\n`);
    last = erasure;
  }
  if (last === undefined)
    throw new CliError(exitCodes.failed, 'The server said nothing about the erasure.');
  return last;
}

function timingsOf({ requestedAt, unreadableAt, purgedAt }: Erasure) {
  const since = (at: Date | undefined) =>
    at === undefined || requestedAt === undefined
      ? '-'
      : formatDuration(at.getTime() - requestedAt.getTime());
  return [
    ['unreadable', `${since(unreadableAt)} after the request`],
    ['purged', `${since(purgedAt)} after the request`],
  ] as const;
}
