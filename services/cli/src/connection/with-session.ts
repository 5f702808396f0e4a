import type { Surroundings } from '../surroundings.ts';
import { openSession, type ConnectionOptions, type Session } from './session.ts';

/** Opens a session for as long as `run` takes. */
export async function withSession<Result>(
  options: ConnectionOptions,
  surroundings: Surroundings,
  run: (session: Session) => Promise<Result>,
): Promise<Result> {
  const session = await openSession(options, surroundings);
  try {
    return await run(session);
  } finally {
    session.close();
  }
}
