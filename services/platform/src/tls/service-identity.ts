import type { X509Certificate } from 'node:crypto';
import { type ServiceName, serviceNames } from '@lethe/proto/access.ts';

/**
 * The one form in which a certificate names a service: a URI among its subject alternative names, as SPIFFE writes
 * identities. Host names say where something runs and not what it is, so they count for nothing here.
 */
export function identityOf(service: ServiceName): string {
  return `spiffe://lethe/${service}`;
}

const servicesByUri: ReadonlyMap<string, ServiceName> = new Map(
  serviceNames.map((service) => [`URI:${identityOf(service)}`, service]),
);

/** The service that a certificate names; undefined for none, and for more than one. */
export function serviceOf(certificate: X509Certificate): ServiceName | undefined {
  // Node writes a comma within a name as an escape, so that no name can be taken for several.
  const names = (certificate.subjectAltName ?? '').split(', ');
  const uris = names.filter((name) => name.startsWith('URI:spiffe://'));
  const [only, ...others] = uris;
  return only === undefined || others.length > 0 ? undefined : servicesByUri.get(only);
}
