import { Erasure } from '@lethe/proto/gen/lethe/privacy/v1/service.ts';
import { watchErasure } from '../calls/watch-erasure.ts';
import type { Caller, Session } from '../connection/session.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { formatDuration } from '../output/numbers.ts';
import { writeJson } from '../output/write-json.ts';
import type { Surroundings } from '../surroundings.ts';
import { changeLine, erasureText } from '../views/erasure.ts';

/** Prints each change as it comes, and the whole at the end; with --json one line for each change. */
export async function followErasure(
  session: Session,
  officer: Caller,
  erasureId: string,
  isJson: boolean,
  { terminal, clock }: Surroundings,
): Promise<ExitCode> {
  let last: Erasure | undefined;
  const startedMs = clock.monotonicMs();
  for await (const erasure of watchErasure(officer, erasureId, session.means)) {
    if (isJson) writeJson(terminal, { erasure: Erasure.toJSON(erasure) });
    else {
      const change = changeLine(last, erasure);
      const elapsed = formatDuration(clock.monotonicMs() - startedMs).padStart(8);
      if (change !== undefined) terminal.out(`  ${terminal.outStyle.dim(elapsed)}  ${change}\n`);
    }
    last = erasure;
  }
  if (!isJson && last !== undefined) terminal.out(erasureText(last, terminal.outStyle));
  return exitCodes.ok;
}
