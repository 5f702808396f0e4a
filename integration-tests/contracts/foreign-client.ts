import { execFile } from 'node:child_process';
import { homedir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { descriptorsPath } from '@lethe/proto/descriptors.ts';
import { installPython } from '../../deploy/local/python-environment.ts';

const script = fileURLToPath(new URL('foreign-client.py', import.meta.url));
const requirementsFile = fileURLToPath(new URL('foreign-client-requirements.txt', import.meta.url));

/** What a foreign client says of one entry of a topic; bytes are in base64. */
export interface SeenEntry {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** Milliseconds since 1970. */
  readonly timestamp: number;
  readonly key: string | null;
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** Null for a tombstone. */
  readonly value: string | null;
  /** Where the value is a Record: its fields by their names in the proto files, as protobuf's JSON writes them. */
  readonly record?: SeenMessage;
  /** How many fields of the record the proto files do not define. */
  readonly unknown?: number;
}

export interface SeenMessage {
  readonly [field: string]: SeenValue;
}
export type SeenValue = string | number | boolean | SeenMessage | readonly SeenValue[];

/** A Kafka client that shares no code with the platform: librdkafka, with protobuf in Python. */
export interface ForeignClient {
  /** Every committed entry of the topics, in the order of partition and offset. */
  readAll(
    address: string,
    topics: readonly string[],
  ): Promise<{ readonly version: string; readonly entries: readonly SeenEntry[] }>;
}

/** As `installForeignClient`; undefined where that cannot be done, said loudly. */
export async function findForeignClient(): Promise<ForeignClient | undefined> {
  try {
    return await installForeignClient();
  } catch (error) {
    const why = error instanceof Error ? error.message : 'unknown';
    console.warn(`!!! SKIPPED, NOT CHECKED: no foreign client of Kafka can be installed: ${why}`);
    return undefined;
  }
}

/** Installs it from PyPI into the cache (5 s, 40 MB). Throws where that cannot be done. */
async function installForeignClient(): Promise<ForeignClient> {
  const cacheRoot = process.env['XDG_CACHE_HOME'] ?? path.join(homedir(), '.cache');
  const environment = { name: 'foreign-client-2.16.1', requirementsFile };
  const interpreter = await installPython(path.join(cacheRoot, 'lethe'), environment);
  return {
    readAll: async (address, topics) => {
      const words = [script, address, fileURLToPath(descriptorsPath), ...topics];
      const maxBuffer = 512 * 1024 * 1024;
      const run = await promisify(execFile)(interpreter, words, { maxBuffer });
      const lines = run.stdout.split('\n').filter((line) => line !== '');
      const entries = lines.map((line) => JSON.parse(line) as SeenEntry);
      return { version: run.stderr.split('\n')[0] ?? '', entries };
    },
  };
}

/** All bytes of an entry, whatever they are: what somebody finds who does not care for its form. */
export function bytesOf({ key, headers, value }: SeenEntry): Buffer {
  const binary = (text: string | null) => Buffer.from(text ?? '', 'base64');
  const named = headers.flatMap(([name, text]) => [Buffer.from(name), binary(text)]);
  return Buffer.concat([binary(key), ...named, binary(value)]);
}

/** The fields that a message has, each with a value: `header.type`, `parts.box`. */
export function* fieldsOf(
  value: SeenValue,
  place = '',
): Generator<readonly [place: string, value: string | number | boolean]> {
  if (typeof value !== 'object') {
    yield [place, value];
  } else if (isList(value)) {
    for (const each of value) yield* fieldsOf(each, place);
  } else {
    for (const [name, inner] of Object.entries(value)) {
      yield* fieldsOf(inner, place === '' ? name : `${place}.${name}`);
    }
  }
}

// Array.isArray knows no read-only array.
function isList(value: SeenMessage | readonly SeenValue[]): value is readonly SeenValue[] {
  return Array.isArray(value);
}
