import { claimsOf, decide } from '@lethe/analytics/domain/accept.ts';
import { fold } from '@lethe/analytics/domain/fold.ts';
import { encodeLedgerRows } from '@lethe/analytics/domain/ledger-rows.ts';
import { countRecord, leaseFacts } from '@lethe/analytics/projection/open-records.ts';
import type { KeyClient } from '@lethe/platform/key-client/port.ts';
import type { Record as LogRecord } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import { cpuUs } from './cpu-time.ts';

/** CPU microseconds per event of the steps that are pure functions. */
export type PhaseCosts = Readonly<Record<'claims' | 'decide' | 'fold' | 'encode', number>>;

/** Runs the pure steps of the projection over these records again, chunk by chunk, and times each. */
export async function pureCosts(
  keyClient: Pick<KeyClient, 'leaseForOpen'>,
  records: readonly LogRecord[],
  chunkRecords: number,
): Promise<PhaseCosts> {
  const leases = await leaseFacts(keyClient, records);
  const events = records.flatMap((record) => countRecord(record, leases) ?? []);
  const us = { claims: 0, decide: 0, fold: 0, encode: 0 };
  for (let start = 0; start < events.length; start += chunkRecords) {
    const chunk = events.slice(start, start + chunkRecords);
    const marks = [cpuUs()];
    const claims = claimsOf(chunk);
    marks.push(cpuUs());
    const { decisions } = decide(claims, new Map());
    marks.push(cpuUs());
    const cells = fold(chunk, decisions);
    marks.push(cpuUs());
    encodeLedgerRows(cells, '00000000-0000-7000-8000-000000000000');
    marks.push(cpuUs());
    const tookUs = (place: number) => (marks[place + 1] ?? 0) - (marks[place] ?? 0);
    us.claims += tookUs(0);
    us.decide += tookUs(1);
    us.fold += tookUs(2);
    us.encode += tookUs(3);
  }
  const perEvent = (total: number) => total / records.length;
  return {
    claims: perEvent(us.claims),
    decide: perEvent(us.decide),
    fold: perEvent(us.fold),
    encode: perEvent(us.encode),
  };
}
