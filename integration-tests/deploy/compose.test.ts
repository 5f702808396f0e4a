import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { load, YAML11_SCHEMA } from 'js-yaml';
import { serviceNames } from '@lethe/proto/access.ts';
import { publicApis } from '../../deploy/public-apis.ts';

interface ComposeService {
  readonly image: string;
  readonly user?: string;
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly ports?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly volumes?: readonly string[];
  readonly depends_on?: readonly string[] | Readonly<Record<string, unknown>>;
}

const text = readFileSync('deploy/compose.yaml', 'utf8');
const { services } = load(text, { schema: YAML11_SCHEMA }) as {
  readonly services: Readonly<Record<string, ComposeService>>;
};

function composed(name: string): ComposeService {
  const found = services[name];
  if (found === undefined) throw new RangeError(`compose.yaml has no ${name}`);
  return found;
}

describe('deploy/compose.yaml', function () {
  this.timeout(120_000);
  let folder: string;
  let made: string;
  before(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'lethe-compose-'));
    made = path.join(folder, 'made');
    execFileSync(process.execPath, ['deploy/compose/prepare.ts', made]);
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('has all services and stores, restricted, and nothing open but one port on loopback', () => {
    for (const name of [...serviceNames, 'topics']) {
      const service = composed(name);
      assert.equal(service.user, '65532:65532', name);
      assert.equal(service.read_only, true, name);
      assert.deepEqual(service.cap_drop, ['ALL'], name);
    }
    const open = Object.values(services).flatMap(({ ports = [] }) => ports);
    assert.deepEqual(open, ['127.0.0.1:${LETHE_PORT:-7480}:7480']);
    const stores = ['kafka', 'postgres', 'vault', 'clickhouse'];
    assert.ok(stores.every((name) => composed(name).image !== undefined));
  });

  it('mounts files that prepare.ts makes or the repository has, and names no password', () => {
    const sources = Object.values(services)
      .flatMap(({ volumes = [] }) => volumes)
      .map((volume) => volume.replace('${LETHE_COMPOSE:-./compose/made}', made))
      .map((volume) => volume.split(':')[0] ?? '')
      .filter((source) => /^[./]/.test(source));
    assert.ok(sources.length > 15);
    const absent = sources.filter((source) => !existsSync(path.resolve('deploy', source)));
    assert.deepEqual(absent, []);
    assert.doesNotMatch(text, /password:\s*\S|PASSWORD:\s*\S|TOKEN:\s*\S/);
  });

  for (const name of serviceNames) {
    it(`gives ${name} settings that it takes`, () => {
      const { environment = {} } = composed(name);
      const env = Object.entries(environment).map(([variable, value]): [string, string] => {
        const told = value
          .replace(/^\$\{[A-Z_]+:-(.*)\}$/, '$1')
          .replace(/^\/run\/lethe\//, `${made}/${name}/`)
          // Vault's login is made when it runs.
          .replace(/^\/run\/vault-login\/.*/, `${made}/${name}/password`);
        return [variable, told];
      });
      const main = `services/${name}/src/main.ts`;
      const checked = spawnSync(process.execPath, [main, '--check-config'], {
        env: Object.fromEntries(env),
        encoding: 'utf8',
      });
      assert.equal(checked.status, 0, checked.stderr);
      assert.doesNotMatch(checked.stderr, /is no setting/);
    });
  }

  it('routes every API of clients to the service that has it, and nothing else but health', () => {
    const router = readFileSync('deploy/compose/router.conf', 'utf8');
    const locations = router.matchAll(
      /^  location (= )?(\S+) \{ set \$service (\w+); grpc_pass grpcs:\/\/\$service:7480; \}$/gm,
    );
    const routed = Array.from(locations, ([, , path = '', service = '']) => [path, service]);
    const expected = serviceNames.flatMap((name) =>
      publicApis(name).map((api) => [`/${api}/`, name]),
    );
    assert.deepEqual(routed, [...expected, ['/grpc.health.v1.Health/Check', 'tickets']]);
    assert.equal(router.match(/location/g)?.length, routed.length + 1, 'and one for all others');
    assert.match(router, /location \/ \{ return 404; \}/);
  });

  it('keeps what prepare.ts made from others, makes it anew for each, and never over another', () => {
    assert.equal(statSync(made).mode & 0o777, 0o700);
    const again = spawnSync(process.execPath, ['deploy/compose/prepare.ts', made]);
    assert.equal(again.status, 2);
    const passwords = readdirSync(made)
      .map((name) => path.join(made, name, 'password'))
      .filter((file) => existsSync(file))
      .map((file) => readFileSync(file, 'utf8'));
    assert.equal(new Set(passwords).size, passwords.length);
    assert.ok(passwords.length >= serviceNames.length + 2);
  });
});
