import { ServiceError } from '../errors/service-error.ts';

/** A method that a test does not expect to be called. */
export const refuse = async (): Promise<never> => {
  throw new ServiceError('INTERNAL_DEFECT');
};

/** The key service's unary methods, none of which is expected; a test adds the stream, and what it does expect. */
export const refusingKeys = {
  createTenant: refuse,
  lease: refuse,
  leaseTokenKey: refuse,
  leaseContributorKey: refuse,
  resolvePersons: refuse,
  acknowledgeRevocation: refuse,
  fence: refuse,
  previewFence: refuse,
  unreadableStatus: refuse,
  contributors: refuse,
};
