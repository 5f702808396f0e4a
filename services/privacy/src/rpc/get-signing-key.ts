import type {
  GetSigningKeyRequest,
  GetSigningKeyResponse,
} from '@lethe/proto/gen/lethe/privacy/v1/service.ts';
import type { UnaryHandler } from '@lethe/platform/grpc/handler.ts';
import type { CertificateSigner } from '../certificate/signer.ts';

/** Open to everybody: a certificate is worth what its key is worth. */
export function getSigningKey(
  signer: CertificateSigner,
): UnaryHandler<GetSigningKeyRequest, GetSigningKeyResponse> {
  return async () => ({ keyId: signer.keyId, publicKeyPem: signer.publicKeyPem });
}
