import assert from 'node:assert/strict';
import { createFileRegistry, create, fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { BinaryReader, BinaryWriter } from '@bufbuild/protobuf/wire';
import { Client, credentials, Server } from '@grpc/grpc-js';
import { listenPlaintext, stopGrpcServer } from '@lethe/platform/grpc/server.ts';
import { addReflection } from './reflection.ts';

const method = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';
/** ServerReflectionRequest.file_containing_symbol and ServerReflectionResponse.file_descriptor_response. */
const symbolField = 4;
const filesField = 4;

/** The file descriptors that a client such as grpcurl gets for a symbol. */
async function askForSymbol(port: number, symbol: string): Promise<Buffer> {
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  const same = (bytes: Buffer) => bytes;
  try {
    const call = client.makeBidiStreamRequest(method, same, same);
    call.write(Buffer.from(new BinaryWriter().tag(symbolField, 2).string(symbol).finish()));
    call.end();
    for await (const response of call as AsyncIterable<Buffer>) return response;
    throw new Error('reflection did not answer');
  } finally {
    client.close();
  }
}

function filesOf(response: Buffer): Uint8Array[] {
  const reader = new BinaryReader(response);
  const files: Uint8Array[] = [];
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field !== filesField) {
      reader.skip(type);
      continue;
    }
    const inner = new BinaryReader(reader.bytes());
    while (inner.pos < inner.len) {
      inner.tag();
      files.push(inner.bytes());
    }
  }
  return files;
}

describe('reflection', () => {
  const server = new Server();
  let port = 0;
  before(async () => {
    await addReflection(server, ['lethe.analytics.v1.AnalyticsService']);
    port = await listenPlaintext(server, '127.0.0.1', 0);
  });
  after(async () => await stopGrpcServer(server, 100));

  it('gives files in which every type resolves, those of google.protobuf too', async () => {
    const symbol = 'lethe.analytics.v1.AnalyticsService';
    const files = filesOf(await askForSymbol(port, symbol));
    const file = files.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes));
    const names = file.map(({ name }) => name);
    assert.ok(names.includes('google/protobuf/timestamp.proto'), names.join());
    // Throws when a reference leads nowhere. Dependencies come before what depends on them.
    const registry = createFileRegistry(
      create(FileDescriptorSetSchema, { file: file.toReversed() }),
    );
    assert.ok(registry.getService(symbol) !== undefined);
  });
});
