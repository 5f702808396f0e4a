import { readFile } from 'node:fs/promises';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import type { Server } from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';

const descriptorsFile = new URL(import.meta.resolve('@lethe/proto/gen/descriptors.binpb'));

type PackageDefinition = ConstructorParameters<typeof ReflectionService>[0];

/**
 * Lets grpcurl and the like list and call the public services without proto files. In standalone only: what a
 * deployed service offers is known from the repository.
 */
export async function addReflection(
  server: Server,
  serviceNames: readonly string[],
): Promise<void> {
  const set = fromBinary(FileDescriptorSetSchema, await readFile(descriptorsFile));
  // The files as buf compiled them. The loader of @grpc/proto-loader would rebuild them and lose the references to
  // google.protobuf, so that clients could not resolve a single message.
  const fileDescriptorProtos = set.file.map((file) =>
    Buffer.from(toBinary(FileDescriptorProtoSchema, file)),
  );
  const definition: PackageDefinition = {
    lethe: {
      format: 'Protocol Buffer 3 DescriptorProto',
      type: {},
      fileDescriptorProtos,
    },
  };
  new ReflectionService(definition, { services: [...serviceNames] }).addToServer(server);
}
