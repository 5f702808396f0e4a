/**
 * Makes what deploy/compose.yaml mounts: an authority, certificates, passwords, keys of tokens and certificates. `--help`
 * says the rest.
 */
import { createHash, createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { kafkaAcls } from '@lethe/platform/event-log/kafka-acls.ts';
import { createCertificateAuthority } from '@lethe/platform/testing/certificate-authority.ts';
import { identityOf } from '@lethe/platform/tls/service-identity.ts';
import { serviceNames } from '@lethe/proto/access.ts';
import { topics } from '@lethe/proto/topics.ts';
import { aclCommands } from '../kafka/acl-commands.ts';
import {
  brokerProperties,
  clickHouseUsers,
  clientProperties,
  postgresRoles,
} from './store-files.ts';

const help = `Makes passwords, keys and certificates for deploy/compose.yaml, all of them new.

  node deploy/compose/prepare.ts [FOLDER]

FOLDER is deploy/compose/made by default; set LETHE_COMPOSE to it when it is another. A folder that is there already is
refused: what lies in the volumes is of its passwords. To begin anew: docker compose -f deploy/compose.yaml down --volumes,
and remove the folder.

Exit codes: 0 made, 2 refused.
`;

/** Long enough for a while of trying; a laptop has nobody who renews them. */
const validDays = 90;
const dayMs = 86_400_000;
const kafkaAdministrator = 'lethe-admin';

type Files = Readonly<Record<string, string>>;

function ed25519(): { readonly jwk: string; readonly publicPem: string } {
  const { privateKey } = generateKeyPairSync('ed25519');
  return {
    jwk: JSON.stringify(privateKey.export({ format: 'jwk' })),
    publicPem: createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }).toString(),
  };
}

/** All files, by folder: each is mounted into one container. */
function makeFiles(): Readonly<Record<string, Files>> {
  const authority = createCertificateAuthority('Lethe compose authority');
  const authorityFile = { 'authority.crt': authority.certificate };
  const issue = (dnsNames: readonly string[], uris: readonly string[] = []): Files => {
    const validToMs = Date.now() + validDays * dayMs;
    const issued = authority.issue({ dnsNames, uris, validToMs });
    return { 'tls.crt': issued.certificate, 'tls.key': issued.privateKey, ...authorityFile };
  };
  const password = () => randomBytes(24).toString('hex');
  const users = [...serviceNames, kafkaAdministrator];
  const passwords = new Map(users.map((user) => [user, password()]));
  const brokerPassword = password();
  const issuer = ed25519();
  const signing = ed25519();
  const services = serviceNames.map((name): [string, Files] => [
    name,
    {
      ...issue([name, 'lethe-public'], [identityOf(name)]),
      password: passwords.get(name) ?? '',
      'issuer.pem': issuer.publicPem,
      ...(name === 'privacy' ? { 'certificate-signing.jwk': signing.jwk } : {}),
    },
  ]);
  const kafka = issue(['kafka', 'localhost']);
  const store = Object.values(kafka).join('');
  const logins = new Map([...passwords, ['broker', brokerPassword]]);
  const scram = [...logins].map(
    ([user, word]) => `--add-scram SCRAM-SHA-512=[name=${user},password=${word}]`,
  );
  const bootstrap = { bootstrapServer: 'kafka:9092', commandConfig: '/run/lethe/admin.properties' };
  const acls = aclCommands(kafkaAcls(topics), bootstrap).map((line) => `/opt/kafka/bin/${line}`);
  const analytics = createHash('sha256')
    .update(passwords.get('analytics') ?? '')
    .digest('hex');
  return {
    ...Object.fromEntries(services),
    [kafkaAdministrator]: { ...authorityFile, password: passwords.get(kafkaAdministrator) ?? '' },
    kafka: {
      'server.properties': brokerProperties(brokerPassword),
      'store.pem': store,
      users: scram.join('\n'),
      'cluster-id': randomBytes(16).toString('base64url'),
      ...authorityFile,
    },
    'kafka-admin': {
      'acls.sh': `set -e\n${acls.join('\n')}\n`,
      'admin.properties': clientProperties('broker', brokerPassword),
      ...authorityFile,
    },
    postgres: {
      ...issue(['postgres']),
      password: password(),
      'roles.sql': postgresRoles(passwords),
    },
    clickhouse: { ...issue(['clickhouse']), 'users.xml': clickHouseUsers(analytics) },
    vault: issue(['vault']),
    router: authorityFile,
    client: clientFiles(issuer.jwk, signing.publicPem),
  };
}

/** What the command line looks for in its data folder. */
function clientFiles(issuerJwk: string, certificateKey: string): Files {
  const address = '127.0.0.1:7480';
  return {
    'issuer.jwk': issuerJwk,
    'certificate-key.pem': certificateKey,
    'server.json': `${JSON.stringify({ address, healthAddress: address, pid: 1 })}\n`,
  };
}

function refuse(why: string): never {
  process.stderr.write(`${why}\n`);
  process.exit(2);
}

const { values, positionals } = parseArgs({
  options: { help: { type: 'boolean', default: false } },
  allowPositionals: true,
});
if (values.help) {
  process.stdout.write(help);
  process.exit(0);
}
const target = path.resolve(positionals[0] ?? path.join(import.meta.dirname, 'made'));
if (existsSync(target)) refuse(`${target} is there already; see --help`);
// Nobody else on this machine gets into the folder; within, the users of the containers have to read.
mkdirSync(target, { recursive: true, mode: 0o700 });
for (const [folder, files] of Object.entries(makeFiles())) {
  const isMine = folder === 'client';
  mkdirSync(path.join(target, folder), { mode: isMine ? 0o700 : 0o755 });
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(path.join(target, folder, name), text, { mode: isMine ? 0o600 : 0o444 });
  }
}
process.stdout.write(`made in ${target}; certificates are good for ${validDays} days\n`);
