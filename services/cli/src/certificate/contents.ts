import { z } from 'zod';

const moment = z.iso.datetime().transform((text) => new Date(text));
const count = z.number().int().nonnegative();

/** The payload of an erasure certificate; docs/certificate.md explains every field. Later versions may add some. */
const certificateSchema = z.looseObject({
  type: z.literal('lethe-erasure-certificate'),
  version: z.literal(1),
  erasureId: z.string().min(1),
  tenantId: z.string().min(1),
  ground: z.string().min(1),
  issuedAt: moment,
  requestedAt: moment,
  fencedAt: moment,
  persons: z.array(z.string().regex(/^[0-9a-f]{32}$/)),
  scopes: z.looseObject({
    persons: count,
    tickets: count,
    sha256: z.string().regex(/^[0-9a-f]{64}$/),
  }),
  keysDestroyed: count,
  clocks: z.looseObject({
    unreadable: z.looseObject({ at: moment, boundMs: count }),
    purged: z.looseObject({ at: moment }),
    physicallyGone: z.looseObject({ by: moment }),
  }),
  receipts: z.array(
    z.looseObject({
      service: z.string().min(1),
      recordsTombstoned: count,
      rowsDeleted: count,
      boxesUnreadable: count,
      ledgerComplete: z.boolean(),
      finishedAt: moment,
    }),
  ),
  boxesMerelyUnreadable: count,
  caveats: z.array(z.looseObject({ code: z.string(), text: z.string() })),
});

export type Certificate = z.infer<typeof certificateSchema>;

/** The certificate, or which fields are not what the format says. */
export function parseCertificate(
  payload: Uint8Array,
): { readonly certificate: Certificate } | { readonly problem: string } {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(payload).toString('utf8'));
  } catch {
    return { problem: 'the signed bytes are no JSON' };
  }
  const parsed = certificateSchema.safeParse(value);
  if (parsed.success) return { certificate: parsed.data };
  const fields = parsed.error.issues.map((issue) => issue.path.join('.') || '(all)');
  return { problem: `these fields are missing or of another format version: ${fields.join(', ')}` };
}

/** What does not add up inside a certificate, by check; undefined where it does. */
export function contradictionsOf(certificate: Certificate): {
  readonly clocks: string | undefined;
  readonly receipts: string | undefined;
} {
  return { clocks: clocksProblem(certificate), receipts: receiptsProblem(certificate) };
}

function clocksProblem({ requestedAt, fencedAt, clocks }: Certificate): string | undefined {
  const { unreadable, purged, physicallyGone } = clocks;
  const isOrdered =
    requestedAt <= fencedAt &&
    fencedAt <= unreadable.at &&
    requestedAt <= purged.at &&
    purged.at <= physicallyGone.by;
  if (!isOrdered) return 'they do not follow each other';
  const tookMs = unreadable.at.getTime() - fencedAt.getTime();
  return tookMs > unreadable.boundMs
    ? 'it became unreadable later than the promised bound'
    : undefined;
}

function receiptsProblem({ receipts, boxesMerelyUnreadable }: Certificate): string | undefined {
  if (receipts.length === 0) return 'there is none';
  if (new Set(receipts.map(({ service }) => service)).size < receipts.length)
    return 'a service has several';
  const boxes = receipts.reduce((sum, { boxesUnreadable }) => sum + boxesUnreadable, 0);
  return boxes === boxesMerelyUnreadable
    ? undefined
    : 'their boxes do not add up to the sum that it states';
}
