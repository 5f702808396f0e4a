import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ServiceError } from '@lethe/platform/errors/service-error.ts';
import { openChannels } from '@lethe/platform/grpc/channel.ts';
import type { Peer } from '@lethe/platform/grpc/handler.ts';
import { systemClock } from '@lethe/platform/lifecycle/clock.ts';
import { createLogger } from '@lethe/platform/log/logger.ts';
import { createCertificateAuthority } from '@lethe/platform/testing/certificate-authority.ts';
import { identityOf } from '@lethe/platform/tls/service-identity.ts';
import type { TlsFiles } from '@lethe/platform/tls/tls-material.ts';
import { openTlsSource } from '@lethe/platform/tls/tls-source.ts';
import { type ServiceName, serviceNames } from '@lethe/proto/access.ts';
import {
  KeyServiceService,
  LeasePurpose,
  LeaseRequest,
  LeaseStatus,
} from '@lethe/proto/gen/lethe/keys/v1/service.ts';
import { ScopeKind } from '@lethe/proto/gen/lethe/log/v1/record.ts';
import type { SixProcesses } from '../../deploy/local/six-processes.ts';

type Use = 'seal' | 'create' | 'open';
const kinds = ['facts', 'ticket', 'person'] as const;
type Kind = (typeof kinds)[number];

/** Said here once more, in words: `mayLease` must not be the judge of its own table. */
const allowed: Readonly<Record<ServiceName, readonly `${Use} ${Kind}`[]>> = {
  tickets: [
    ...(['seal facts', 'open facts', 'seal ticket', 'create ticket', 'open ticket'] as const),
    ...(['seal person', 'open person'] as const),
  ],
  predictions: [
    ...(['seal facts', 'open facts', 'seal ticket', 'open ticket'] as const),
    ...(['seal person', 'open person'] as const),
  ],
  usage: ['seal facts', 'open facts', 'seal person', 'open person'],
  analytics: ['open facts'],
  privacy: ['open person'],
  keys: [],
};

const wishes = [
  ...kinds.flatMap((kind) => [`seal ${kind}`, `open ${kind}`] as const),
  'create ticket',
] as const;

const { lease, fence, watchRevocations } = KeyServiceService;
const kindNumber: Readonly<Record<Kind, ScopeKind>> = {
  facts: ScopeKind.SCOPE_KIND_FACTS,
  ticket: ScopeKind.SCOPE_KIND_TICKET,
  person: ScopeKind.SCOPE_KIND_PERSON,
};

/** One scope that nobody has used, of a tenant that there is. */
function requestFor(wish: (typeof wishes)[number], tenantId: string, holderId: string) {
  const [use, kind] = wish.split(' ') as [Use, Kind];
  const token = Buffer.alloc(kind === 'facts' ? 0 : 16, 7);
  const scope = {
    kind: kindNumber[kind],
    token,
    ...(use === 'open' ? { keyId: Buffer.alloc(16, 7), incarnation: 1 } : { claimMessages: 1 }),
    ...(use === 'create'
      ? { createTicket: true, ownerToken: Buffer.alloc(16, 8), ownerIncarnation: 1 }
      : {}),
  };
  const purpose =
    use === 'open' ? LeasePurpose.LEASE_PURPOSE_OPEN : LeasePurpose.LEASE_PURPOSE_SEAL;
  return LeaseRequest.fromPartial({ tenantId, purpose, holderId, scopes: [scope] });
}

/** Whoever has the certificate of a service gets that service's keys from the process of `keys`, and no others. */
export function leaseRefusalTests(sixOf: () => SixProcesses, tenantOf: () => string): void {
  const ends: (() => Promise<void> | void)[] = [];
  after(async () => {
    for (const end of ends.splice(0).toReversed()) await end();
  });

  const filesOf = (service: ServiceName): TlsFiles => {
    const { dataFolder } = sixOf();
    return {
      certificateFile: join(dataFolder, 'tls', `${service}.pem`),
      privateKeyFile: join(dataFolder, 'tls', `${service}.key`),
      authorityFile: join(dataFolder, 'authority.pem'),
    };
  };
  const keysFor = (files: TlsFiles): Peer => {
    const logger = createLogger({ service: 'contract', level: 'silent' });
    const tls = openTlsSource({ files, clock: systemClock, logger });
    const addresses = new Map([['keys' as const, sixOf().service('keys').internalAddress]]);
    const channels = openChannels({ addresses, tls, clock: systemClock });
    ends.push(
      async () => await tls.stop(),
      () => channels.close(),
    );
    return channels.peers('keys');
  };
  /** Registered as a holder, as a lease wants it. */
  const holderOf = async (service: ServiceName, holderId: string): Promise<Peer> => {
    const keys = keysFor(filesOf(service));
    const leaving = new AbortController();
    const watch = keys.serverStream(watchRevocations, { holderId }, { signal: leaving.signal });
    ends.push(() => leaving.abort());
    await watch[Symbol.asyncIterator]().next();
    return keys;
  };
  const refusalOf = async (asking: Promise<unknown>): Promise<string> => {
    try {
      await asking;
    } catch (error) {
      assert.ok(error instanceof ServiceError, String(error));
      return `${error.code} ${error.reason}`;
    }
    return 'let through';
  };

  for (const service of serviceNames.filter((name) => allowed[name].length > 0)) {
    it(`lets ${service} have keys to ${allowed[service].join(', ')}; refuses all else`, async () => {
      const holderId = `contract-${service}`;
      const keys = await holderOf(service, holderId);
      for (const wish of wishes) {
        const asking = keys.unary(lease, requestFor(wish, tenantOf(), holderId));
        const isAllowed = allowed[service].includes(wish);
        const expected = isAllowed ? 'let through' : 'PERMISSION_DENIED SCOPE_NOT_ALLOWED';
        assert.equal(await refusalOf(asking), expected, wish);
      }
    });
  }

  it('gives a key to whoever may have it', async () => {
    const keys = await holderOf('usage', 'contract-granted');
    const asking = requestFor('seal person', tenantOf(), 'contract-granted');
    const { leases } = await keys.unary(lease, asking);
    assert.equal(leases[0]?.status, LeaseStatus.LEASE_STATUS_GRANTED);
    assert.equal(leases[0].dataKey.length, 32);
  });

  it('refuses one forbidden scope among allowed ones, and gives none of them', async () => {
    const keys = await holderOf('usage', 'contract-mixed');
    const one = requestFor('seal person', tenantOf(), 'contract-mixed');
    const other = requestFor('seal ticket', tenantOf(), 'contract-mixed');
    const both = { ...one, scopes: [...one.scopes, ...other.scopes] };
    const refused = keys.unary(lease, both);
    await assert.rejects(refused, /The service usage may not seal ticket keys/);
  });

  it('refuses to lease in the name of a holder of another service', async () => {
    await holderOf('tickets', 'contract-borrowed');
    const keys = keysFor(filesOf('usage'));
    const asking = keys.unary(lease, requestFor('seal person', tenantOf(), 'contract-borrowed'));
    assert.match(await refusalOf(asking), /HOLDER_UNREGISTERED/);
  });

  it('refuses keys itself, and fences to all but privacy: by certificate, whatever is asked', async () => {
    const own = keysFor(filesOf('keys'));
    const asking = own.unary(lease, requestFor('seal facts', tenantOf(), 'contract-keys'));
    assert.equal(await refusalOf(asking), 'PERMISSION_DENIED SERVICES_ONLY');
    for (const service of ['tickets', 'analytics', 'keys'] as const) {
      const fencing = keysFor(filesOf(service)).unary(fence, {
        tenantId: tenantOf(),
        erasureId: '00000000-0000-7000-8000-000000000000',
        personTokens: [],
        ticketTokens: [],
        cutOff: undefined,
      });
      assert.equal(await refusalOf(fencing), 'PERMISSION_DENIED SERVICES_ONLY', service);
    }
  });

  it('refuses the certificate of another authority, whatever service it names', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'lethe-strangers-'));
    ends.push(() => rmSync(folder, { recursive: true }));
    const strangers = createCertificateAuthority('Another authority');
    const issued = strangers.issue({ uris: [identityOf('tickets')], dnsNames: ['localhost'] });
    writeFileSync(join(folder, 'certificate'), issued.certificate);
    writeFileSync(join(folder, 'key'), issued.privateKey);
    // It trusts both, as its own files would be refused here otherwise.
    const ours = readFileSync(join(sixOf().dataFolder, 'authority.pem'), 'utf8');
    writeFileSync(join(folder, 'authority'), ours + strangers.certificate);
    const foreign = keysFor({
      certificateFile: join(folder, 'certificate'),
      privateKeyFile: join(folder, 'key'),
      authorityFile: join(folder, 'authority'),
    });
    const asking = foreign.unary(lease, requestFor('seal facts', tenantOf(), 'contract-foreign'));
    assert.match(await refusalOf(asking), /CERTIFICATE_REFUSED/);
  });
}
