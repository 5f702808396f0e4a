import { hashOf } from '../core/random.ts';

export type CountedTable = 'outbox' | 'applied' | 'tenants';

/** What the simulator has to know of a statement before it runs. */
export interface StatementKind {
  /** For traces: how it begins, and a hash of all of it. */
  readonly label: string;
  /** Changes rows or locks them: whoever runs it has to be alone in its schema until the transaction ends. */
  readonly writes: boolean;
  /** Asks the catalogue, which no run changes. */
  readonly isCatalogue: boolean;
  readonly isOrdered: boolean;
  /** The table whose identity column an insert counts up. */
  readonly counts: CountedTable | undefined;
  readonly lock: 'transaction' | 'transaction-shared' | 'session' | 'unlock-session' | undefined;
  readonly asksOpenTransactions: boolean;
}

/** Kinds by text; texts of statements are few. */
export function createStatementKinds(): (text: string) => StatementKind {
  const known = new Map<string, StatementKind>();
  return (text) => {
    const found = known.get(text) ?? kindOf(text);
    known.set(text, found);
    return found;
  };
}

function kindOf(given: string): StatementKind {
  const text = given.replaceAll(/\s+/g, ' ').trim().toLowerCase();
  return {
    label: `${text.slice(0, 24)} ${hashOf(text, 7).toString(36)}`,
    writes:
      /^(insert|update|delete|truncate|create|alter|drop|comment)\b/.test(text) ||
      (text.startsWith('with') && /\b(insert into|update|delete from)\b/.test(text)) ||
      /\bfor (update|share|no key update|key share)\b/.test(text),
    isCatalogue:
      /pg_catalog|information_schema|kysely_migration|to_regclass|current_schema\(\)|current_setting/.test(
        text,
      ),
    isOrdered: /\border by\b/.test(text),
    counts: countedTableOf(text),
    lock: lockOf(text),
    asksOpenTransactions: text.includes('pg_stat_activity'),
  };
}

/** Of the tables named `tenants` that of keys alone numbers its rows, and asks for the number. */
function countedTableOf(text: string): CountedTable | undefined {
  if (/^insert into "?outbox"? /.test(text)) return 'outbox';
  if (/^insert into "?applied"? /.test(text)) return 'applied';
  return /^insert into "tenants" \(.*returning "tenant_number"/.test(text) ? 'tenants' : undefined;
}

function lockOf(text: string): StatementKind['lock'] {
  if (text.includes('pg_advisory_xact_lock_shared(')) return 'transaction-shared';
  if (text.includes('pg_advisory_xact_lock(')) return 'transaction';
  if (text.includes('pg_try_advisory_lock(')) return 'session';
  return text.includes('pg_advisory_unlock_all(') ? 'unlock-session' : undefined;
}
