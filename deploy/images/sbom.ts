import { createHash } from 'node:crypto';

/** The parts of a CycloneDX document that npm fills with chance and with the hour. */
interface CycloneDx {
  readonly serialNumber?: string;
  readonly metadata?: Readonly<Record<string, unknown>>;
  readonly components?: readonly unknown[];
}

/**
 * What `npm sbom` says, with the time of the build's epoch and a serial number made of the content: the same packages
 * give the same bytes.
 */
export function normalizedSbom(said: unknown, workspace: string, epochS: number): CycloneDx {
  const { serialNumber: _chance, metadata, ...rest } = said as CycloneDx;
  const timestamp = new Date(epochS * 1000).toISOString();
  const component = { ...(metadata?.['component'] as object), name: workspace };
  const settled = { ...rest, metadata: { ...metadata, timestamp, component } };
  const digest = createHash('sha256').update(JSON.stringify(settled)).digest('hex');
  return { serialNumber: `urn:uuid:${uuidOf(digest)}`, ...settled };
}

/** UUIDv8 of the first bytes of a digest. */
function uuidOf(digest: string): string {
  const variant = (8 + (Number.parseInt(digest.charAt(16), 16) % 4)).toString(16);
  const parts = [
    digest.slice(0, 8),
    digest.slice(8, 12),
    `8${digest.slice(13, 16)}`,
    `${variant}${digest.slice(17, 20)}`,
    digest.slice(20, 32),
  ];
  return parts.join('-');
}
