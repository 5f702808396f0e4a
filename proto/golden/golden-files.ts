import { existsSync, readFileSync, writeFileSync } from 'node:fs';

/** One golden record: an encoded family union with one event in it, and what it must decode to. */
export interface Golden {
  readonly bytes: Uint8Array;
  /** The event as protobuf JSON, parsed. */
  readonly json: unknown;
}

function pathOf(type: string, schemaVersion: number, suffix: 'hex' | 'json'): URL {
  return new URL(`${type}.v${schemaVersion}.${suffix}`, import.meta.url);
}

/** Whether a golden record lies here in full. */
export function hasGolden(type: string, schemaVersion: number): boolean {
  return (
    existsSync(pathOf(type, schemaVersion, 'hex')) &&
    existsSync(pathOf(type, schemaVersion, 'json'))
  );
}

/** Reads a golden record. Throws when it is missing: `npm run golden -w @lethe/proto` adds it. */
export function readGolden(type: string, schemaVersion: number): Golden {
  const hex = readFileSync(pathOf(type, schemaVersion, 'hex'), 'utf8');
  const json = readFileSync(pathOf(type, schemaVersion, 'json'), 'utf8');
  const parsed: unknown = JSON.parse(json);
  return { bytes: Buffer.from(hex.replaceAll(/\s/gu, ''), 'hex'), json: parsed };
}

/**
 * Writes a golden record that is missing. A file that exists is left as it is: what was once written must
 * be readable for ever. If the process dies between the two files, the next run adds the second.
 */
export function addGolden(type: string, schemaVersion: number, golden: Golden): void {
  const hexLines = Buffer.from(golden.bytes).toString('hex').replaceAll(/.{96}/gu, '$&\n');
  const files = [
    [pathOf(type, schemaVersion, 'json'), `${JSON.stringify(golden.json, undefined, 2)}\n`],
    [pathOf(type, schemaVersion, 'hex'), `${hexLines.trimEnd()}\n`],
  ] as const;
  for (const [path, text] of files) {
    if (!existsSync(path)) writeFileSync(path, text, { flag: 'wx' });
  }
}
