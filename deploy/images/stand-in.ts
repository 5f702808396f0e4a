import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { DockerCommand } from './docker-command.ts';

/** The names that the two get in the local daemon. */
export const standInBase = 'localhost/lethe-base:stand-in';
export const standInBuilder = 'localhost/lethe-builder:stand-in';

/**
 * Where nothing can be pulled: the base and the builder of this machine's Node (the npm package `node`), the system's
 * libraries that it is linked with and npm (`npm` is its npm-cli.js), at the places where distroless' and Node's own
 * images have them. For trying and for tests; nobody patches it.
 */
export async function buildStandIns(docker: DockerCommand, npm: string): Promise<void> {
  const context = mkdtempSync(path.join(tmpdir(), 'lethe-base-'));
  try {
    const root = path.join(context, 'root');
    assembleRoot(root);
    await build(docker, context, standInBase, [
      'FROM scratch',
      'COPY root/ /',
      'ENV PATH=/nodejs/bin SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt',
      'USER 65532',
      'ENTRYPOINT ["/nodejs/bin/node"]',
    ]);
    assembleBuilder(path.join(context, 'builder'), npm);
    await build(docker, context, standInBuilder, [
      `FROM ${standInBase}`,
      'COPY builder/ /',
      'ENV PATH=/usr/local/bin HOME=/tmp',
      'USER 0',
    ]);
  } finally {
    rmSync(context, { recursive: true, force: true });
  }
}

async function build(docker: DockerCommand, context: string, tag: string, lines: string[]) {
  writeFileSync(path.join(context, 'Dockerfile'), `${lines.join('\n')}\n`);
  await docker('build', '-q', '-t', tag, context);
}

function assembleRoot(root: string): void {
  const node = realpathSync(process.execPath);
  place(node, path.join(root, 'nodejs/bin/node'), 0o755);
  for (const library of librariesOf(node)) place(library, path.join(root, library), 0o755);
  const authorities = '/etc/ssl/certs/ca-certificates.crt';
  if (existsSync(authorities)) place(authorities, path.join(root, authorities), 0o644);
  const files = {
    'etc/passwd':
      'root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532::/home:/sbin/nologin\n',
    'etc/group': 'root:x:0:\nnonroot:x:65532:\n',
    'etc/nsswitch.conf': 'hosts: files dns\n',
  };
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(path.join(root, path.dirname(file)), { recursive: true });
    writeFileSync(path.join(root, file), text);
  }
  mkdirSync(path.join(root, 'tmp'), { recursive: true });
  mkdirSync(path.join(root, 'home'));
  settleTimes(root);
  chmodSync(path.join(root, 'tmp'), 0o1777);
}

function assembleBuilder(root: string, npm: string): void {
  // A hard link would be one file less; Docker's context knows none.
  place(realpathSync(process.execPath), path.join(root, 'usr/local/bin/node'), 0o755);
  const folder = path.resolve(path.dirname(npm), '..');
  cpSync(folder, path.join(root, 'usr/local/lib/node_modules/npm'), {
    recursive: true,
    dereference: true,
  });
}

/** The loader too; and what glibc before 2.34 loads by itself to find names. */
function librariesOf(program: string): readonly string[] {
  const said = execFileSync('ldd', [program], { encoding: 'utf8' });
  const linked = [...said.matchAll(/(?:^|\s)(\/\S+)/g)].map(([, file = '']) => file);
  const beside = path.dirname(linked.find((file) => file.includes('libc.so')) ?? '/lib');
  const loadedLater = ['libresolv.so.2', 'libnss_dns.so.2', 'libnss_files.so.2']
    .map((name) => path.join(beside, name))
    .filter((file) => existsSync(file));
  return [...linked, ...loadedLater];
}

function place(from: string, to: string, mode: number): void {
  mkdirSync(path.dirname(to), { recursive: true });
  copyFileSync(realpathSync(from), to);
  chmodSync(to, mode);
}

function settleTimes(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const file = path.join(folder, entry.name);
    if (entry.isDirectory()) settleTimes(file);
    else utimesSync(file, 0, 0);
  }
  utimesSync(folder, 0, 0);
}

/** What the stand-in is made of. */
export function standInOrigin(): string {
  const system = readFileSync('/etc/os-release', 'utf8');
  const name = /^PRETTY_NAME="?([^"\n]*)/m.exec(system)?.[1] ?? 'this system';
  return `Node ${process.versions.node} of npm and the libraries of ${name}`;
}
