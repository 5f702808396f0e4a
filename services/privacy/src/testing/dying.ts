import type { Peer } from '@lethe/platform/grpc/handler.ts';
import type { CertificateSigner } from '../certificate/signer.ts';
import type { ErasureStepsPorts } from '../erasure-steps.ts';

/** Thrown where the process dies; no code of ours catches it by name. */
export class Died extends Error {
  override readonly name = 'Died';
}

/** Counts the moments at which a process could die, and dies at one of them. */
export interface Mortality {
  readonly moments: () => number;
  /** Before and after the work there is a moment. */
  around<T>(work: () => Promise<T>): Promise<T>;
}

export function createMortality(diesAt: number): Mortality {
  let moments = 0;
  const moment = (): void => {
    moments += 1;
    if (moments === diesAt) throw new Died(`at moment ${diesAt}`);
  };
  return {
    moments: () => moments,
    around: async (work) => {
      moment();
      const done = await work();
      moment();
      return done;
    },
  };
}

/** The same ports, every call and every transaction of which is a place to die before or after. */
export function mortalPorts(ports: ErasureStepsPorts, mortality: Mortality): ErasureStepsPorts {
  const { keys: livingKeys, writer, signer: livingSigner } = ports;
  const keys: Peer = {
    unary: (method, request, options) =>
      mortality.around(() => livingKeys.unary(method, request, options)),
    serverStream: (method, request, options) => livingKeys.serverStream(method, request, options),
  };
  const signer: CertificateSigner = {
    ...livingSigner,
    sign: (payload) => mortality.around(() => livingSigner.sign(payload)),
  };
  return {
    ...ports,
    keys,
    signer,
    writer: {
      apply: (erasureId, command) => mortality.around(() => writer.apply(erasureId, command)),
    },
  };
}
