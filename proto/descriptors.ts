import { readFileSync } from 'node:fs';
import { createFileRegistry, fromBinary } from '@bufbuild/protobuf';
import type { FileRegistry } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';

/** Where `npm run generate` puts the compiled descriptors of the whole contract. */
export const descriptorsPath = new URL('gen/descriptors.binpb', import.meta.url);

/**
 * Reads compiled descriptors, imports included, as `buf build` writes them.
 * @throws when the file is missing or is no FileDescriptorSet; run `npm run generate` then.
 */
export function readDescriptors(path: URL | string): FileRegistry {
  return createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(path)));
}
