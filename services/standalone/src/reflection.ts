import { readFile } from 'node:fs/promises';
import type { Server } from '@grpc/grpc-js';
import { loadFileDescriptorSetFromBuffer } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';

const descriptorsFile = new URL(import.meta.resolve('@lethe/proto/gen/descriptors.binpb'));

/**
 * Lets grpcurl and the like list the public services without proto files. In standalone only: what a deployed
 * service offers is known from the repository.
 */
export async function addReflection(
  server: Server,
  serviceNames: readonly string[],
): Promise<void> {
  const definition = loadFileDescriptorSetFromBuffer(await readFile(descriptorsFile));
  new ReflectionService(definition, { services: [...serviceNames] }).addToServer(server);
}
