import { Record as LogRecord } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import type { Evidence } from './evidence.ts';
import { must } from './law-broken.ts';
import { type ObservedErasure, scopeOfPart } from './observed.ts';

const unreadable = 'no box of a fenced incarnation can be opened';
const purged = 'nothing is left of an erased stream';
const late = 'nothing is sealed under a key after the erasure is said to be unreadable';

/** Keys, rows and records of everything that was fenced. */
export function checkErased(evidence: Evidence): void {
  for (const erasure of evidence.observed.erasures.values()) {
    checkKeys(evidence, erasure);
    checkRows(evidence, erasure);
    checkLog(evidence, erasure);
    checkSealedInTime(evidence, erasure);
  }
}

function checkKeys({ rows }: Evidence, { tenantId, fenced, erasureId }: ObservedErasure): void {
  const keys = rows(
    `select encode(scope, 'hex') as scope, incarnation from keys.data_keys
      join keys.tenants using (tenant_number) where tenant_id = $1`,
    [tenantId],
  );
  const kinds: Readonly<Record<string, string>> = { '02': 'ticket', '03': 'person' };
  for (const row of keys) {
    const hex = row['scope'] as string;
    const scope = `${kinds[hex.slice(0, 2)] ?? 'facts'}/${hex.slice(2)}`;
    const incarnation = row['incarnation'] as number;
    must(incarnation > (fenced.get(scope) ?? -1), unreadable, () => {
      return `erasure ${erasureId}: a key of ${scope} incarnation ${incarnation} is there`;
    });
  }
}

function checkRows({ rows }: Evidence, { tenantId, fenced, erasureId }: ObservedErasure): void {
  for (const [table, token, incarnation] of [
    ['streams', 'token', 'incarnation'],
    ['records', 'stream_token', 'stream_incarnation'],
    ['event_index', 'stream_token', 'stream_incarnation'],
    ['person_boxes', 'stream_token', 'stream_incarnation'],
  ] as const) {
    const found = rows(
      `select ${token} as token, ${incarnation} as incarnation from tickets.${table}
        where tenant_id = $1 and ${token} is not null`,
      [tenantId],
    );
    for (const row of found) {
      const upTo = fenced.get(`ticket/${String(row['token'])}`) ?? -1;
      must((row['incarnation'] as number) > upTo, purged, () => {
        return `erasure ${erasureId}: ${table} still has ticket ${String(row['token'])}`;
      });
    }
  }
}

function checkLog({ log }: Evidence, { tenantId, fenced, erasureId }: ObservedErasure): void {
  for (const partition of [0, 1]) {
    for (const entry of log.partition({ topic: 'tickets.v1', partition }).entries) {
      if (entry.kind !== 'record') continue;
      const { header } = LogRecord.decode(entry.value);
      if (header?.tenantId !== tenantId) continue;
      const ticket = `ticket/${header.streamToken.toString('hex')}`;
      must(!fenced.has(ticket), purged, () => {
        return `erasure ${erasureId}: sequence ${entry.sequence} of ${ticket} is on the log`;
      });
    }
  }
}

/** `recorded_at` is the wall clock's, so runs in which one jumps say nothing here. */
function checkSealedInTime(evidence: Evidence, erasure: ObservedErasure): void {
  const { rows, observed, plan } = evidence;
  if (plan.faults.some(({ kind }) => kind === 'clock-jump')) return;
  const { tenantId, fenced, erasureId } = erasure;
  const [row] = rows(`select unreadable_at_ms from privacy.erasures where erasure_id = $1`, [
    erasureId,
  ]);
  const atMs = row?.['unreadable_at_ms'];
  if (typeof atMs !== 'bigint') return;
  for (const { header, parts, topic } of observed.records) {
    if (topic !== 'tickets.v1' || header.tenantId !== tenantId) continue;
    for (const part of parts) {
      const scope = scopeOfPart(part);
      if (scope === undefined || part.box.length === 0) continue;
      if (part.incarnation > (fenced.get(scope) ?? -1)) continue;
      must(evidence.committedAtMs(header) <= atMs, late, () => {
        return `erasure ${erasureId}: ${scope} was used ${evidence.committedAtMs(header) - atMs} ms later`;
      });
    }
  }
}
