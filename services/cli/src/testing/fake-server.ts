import {
  Metadata,
  Server,
  ServerCredentials,
  type status,
  type UntypedServiceImplementation,
  type ServiceDefinition,
} from '@grpc/grpc-js';
import {
  ErrorInfo,
  Status,
  BadRequest,
  RetryInfo,
} from '@lethe/proto/gen/google/rpc/error_details.ts';

export interface FakeServer {
  readonly address: string;
  stop(): void;
}

/** A real gRPC server on a free port with the given methods; the others answer UNIMPLEMENTED. */
export async function startFakeServer(
  services: readonly (readonly [
    definition: ServiceDefinition,
    methods: UntypedServiceImplementation,
  ])[],
): Promise<FakeServer> {
  const server = new Server();
  for (const [definition, methods] of services) server.addService(definition, methods);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, taken) => {
      if (error === null) resolve(taken);
      else reject(error);
    });
  });
  return { address: `127.0.0.1:${port}`, stop: () => server.forceShutdown() };
}

export interface FailureWish {
  readonly code: status;
  readonly message: string;
  readonly reason?: string;
  readonly violations?: readonly { readonly field: string; readonly description: string }[];
  readonly retryDelayMs?: number;
}

/** An error with standard details, as every Lethe server answers it. */
export function failure(wish: FailureWish) {
  const typeUrl = (name: string) => `type.googleapis.com/google.rpc.${name}`;
  const details = [];
  if (wish.reason !== undefined) {
    const value = ErrorInfo.encode({
      reason: wish.reason,
      domain: 'lethe.dev',
      metadata: {},
    }).finish();
    details.push({ typeUrl: typeUrl('ErrorInfo'), value: Buffer.from(value) });
  }
  if (wish.violations !== undefined) {
    const value = BadRequest.encode({ fieldViolations: [...wish.violations] }).finish();
    details.push({ typeUrl: typeUrl('BadRequest'), value: Buffer.from(value) });
  }
  if (wish.retryDelayMs !== undefined) {
    const retryDelay = { seconds: 0n, nanos: wish.retryDelayMs * 1_000_000 };
    const value = RetryInfo.encode({ retryDelay }).finish();
    details.push({ typeUrl: typeUrl('RetryInfo'), value: Buffer.from(value) });
  }
  const metadata = new Metadata();
  const bytes = Status.encode({ code: wish.code, message: wish.message, details }).finish();
  metadata.set('grpc-status-details-bin', Buffer.from(bytes));
  return Object.assign(new Error(wish.message), {
    code: wish.code,
    details: wish.message,
    metadata,
  });
}
