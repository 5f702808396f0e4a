import { BinaryReader, BinaryWriter } from '@bufbuild/protobuf/wire';
import type { Method } from './channel.ts';

/** What a health check says of one service; the numbers are those of grpc.health.v1. */
export type ServingStatus = 'unknown' | 'serving' | 'not serving';

/**
 * grpc.health.v1.Health/Check, coded by hand: the two messages have one field each, and the package belongs to gRPC,
 * not to our contract.
 */
export const checkHealth: Method<{ readonly service: string }, ServingStatus> = {
  path: '/grpc.health.v1.Health/Check',
  requestSerialize: ({ service }) => {
    const writer = new BinaryWriter();
    if (service !== '') writer.uint32(0x0a).string(service);
    return Buffer.from(writer.finish());
  },
  responseDeserialize: (bytes) => {
    const reader = new BinaryReader(bytes);
    let status = 0;
    while (reader.pos < reader.len) {
      const [fieldNumber, wireType] = reader.tag();
      if (fieldNumber === 1) status = reader.int32();
      else reader.skip(wireType, fieldNumber);
    }
    return status === 1 ? 'serving' : status === 2 ? 'not serving' : 'unknown';
  },
};
