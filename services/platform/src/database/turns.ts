import { ServiceError } from '../errors/service-error.ts';

/** Gives a turn back; to be called once. */
export type GiveBack = () => void;

/** First come, first served use of something that exists once. */
export interface Turns {
  /** Throws SHUTTING_DOWN after `close`. */
  take(): Promise<GiveBack>;
  /** Resolves when every turn already asked for is over; idempotent. */
  close(): Promise<void>;
}

/**
 * A fair mutex that yields to the event loop between two turns. A WASM database answers in microtasks: without the
 * yield three busy query loops blocked timers and sockets for 3 s, with it 39 ms.
 */
export function createTurns(): Turns {
  const queue: (() => void)[] = [];
  let taken = false;
  let closed = false;
  const giveBack = (): void => {
    setImmediate(() => {
      const next = queue.shift();
      if (next === undefined) taken = false;
      else next();
    });
  };
  const wait = async (): Promise<GiveBack> => {
    if (taken) await new Promise<void>((resolve) => queue.push(resolve));
    taken = true;
    return giveBack;
  };
  return {
    async take() {
      if (closed) throw new ServiceError('SHUTTING_DOWN', 'the database is closed');
      return wait();
    },
    async close() {
      closed = true;
      const done = await wait();
      done();
    },
  };
}
