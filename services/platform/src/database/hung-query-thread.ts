import { writeSync } from 'node:fs';
import { workerData } from 'node:worker_threads';
import { statementSlot, stopSlot, type ThreadSettings } from './hung-query.ts';

/**
 * Runs beside the main thread, whose event loop a hung WASM database does not leave: looks now and then whether the
 * statement in flight is still the same, and ends the process when it has been for too long. Looks are counted, not
 * clock time, so a suspended machine is not taken for a hung one.
 */
function watch({ shared, timeoutMs }: ThreadSettings): void {
  const lookMs = Math.max(10, Math.floor(timeoutMs / 20));
  let seen = 0;
  let looks = 0;
  while (Atomics.wait(shared, stopSlot, 0, lookMs) === 'timed-out') {
    const statement = Atomics.load(shared, statementSlot);
    looks = statement !== 0 && statement === seen ? looks + 1 : 0;
    seen = statement;
    if (looks * lookMs < timeoutMs) continue;
    const reason = `a database statement has not answered for ${timeoutMs} ms and blocks the process; is the disk full?`;
    writeSync(2, `${JSON.stringify({ level: 'fatal', component: 'database', msg: reason })}\n`);
    // Nothing gentler works: the thread that would handle a signal is the one that hangs.
    process.kill(process.pid, 'SIGKILL');
  }
}

watch(workerData as ThreadSettings);
