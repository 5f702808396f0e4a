import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What one service says in a certificate that it erased. */
export interface CountedReceipt {
  readonly service: string;
  readonly records: number;
  readonly rows: number;
}

/** What the tour leaves in its data folder: how far it is, the totals, and the receipts of the certificate. */
export function leftByTour(dataFolder: string) {
  const state = JSON.parse(readFileSync(join(dataFolder, 'tour.json'), 'utf8')) as {
    readonly stage: string;
    readonly totalsBefore: Readonly<Record<string, string>>;
  };
  const certificates = join(dataFolder, 'certificates');
  const [file = ''] = readdirSync(certificates);
  const [, payload = ''] = readFileSync(join(certificates, file), 'utf8').split('.');
  const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
  return { ...state, receipts: receiptsIn(claims) };
}

function receiptsIn(claims: unknown): readonly CountedReceipt[] {
  const { receipts } = claims as { readonly receipts: readonly CountedReceipt[] };
  const counts = receipts.map(({ service, records, rows }) => ({ service, records, rows }));
  return counts.toSorted((a, b) => a.service.localeCompare(b.service));
}
