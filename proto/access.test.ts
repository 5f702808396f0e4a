import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createFileRegistry, fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { methodAccess } from './access.ts';

const descriptors = fromBinary(
  FileDescriptorSetSchema,
  readFileSync(new URL('gen/descriptors.binpb', import.meta.url)),
);

describe('the access table', () => {
  it('lists every method of every service, and no other of ours', () => {
    const declared: string[] = [];
    for (const type of createFileRegistry(descriptors)) {
      if (type.kind !== 'service') continue;
      for (const method of type.methods) declared.push(`/${type.typeName}/${method.name}`);
    }
    const listed = Object.keys(methodAccess).filter((path) => path.startsWith('/lethe.'));
    assert.deepEqual(listed.toSorted(), declared.toSorted());
  });

  it('gives no method to a tenant that works with keys or receipts', () => {
    const internal = Object.entries(methodAccess).filter(([path]) =>
      /\.(keys|erasure|log)\.v1\.|ReceiptService|ProjectionService/.test(path),
    );
    assert.ok(internal.length > 10);
    for (const [path, access] of internal) assert.equal(access.kind, 'services', path);
  });
});
