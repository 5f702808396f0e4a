import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createPrivateKey, createPublicKey } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { load } from 'js-yaml';
import { imageWishes } from '../../deploy/images/image-names.ts';
import { imageValues } from '../../deploy/images/push.ts';
import { kubernetesClients } from '../../deploy/local/helm.ts';
import { toolPlaces } from '../../deploy/local/prebuilt-tool.ts';
import { containersOf, ofKind, parseObjects, podsOf } from '../chart/kube-objects.ts';
import { blocksIn, commandsOf, fileWrittenBy, kubernetesPage, sectionOf } from '../cluster/page.ts';
import { repository } from '../temporary-tree.ts';

const page = kubernetesPage();

/** A here-document counts as the command that it is given to. */
function commandsIn(block: string): readonly string[] {
  return block
    .replace(/ <<'END'[\s\S]*?^END$/m, '')
    .split(/\n|&&|\|\||;/)
    .map((each) => each.trim())
    .filter(Boolean);
}

describe('the way from four endpoints to a running release, as docs/operators/kubernetes.md has it', function () {
  this.timeout(120_000);
  const blocks = commandsOf(page);
  const clients = kubernetesClients(toolPlaces(process.env));
  const only = (program: string, word: string): readonly string[] => {
    const found = blocks.filter((each) => each.startsWith(`${program} `) && each.includes(word));
    assert.equal(found.length, 1, `${program} … ${word}`);
    return found[0]?.split(/\s+/).slice(1) ?? [];
  };
  const option = (words: readonly string[], name: string): readonly string[] =>
    words.flatMap((word, index) => (words[index - 1] === `--${name}` ? [word] : []));
  let folder: string;

  before(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'lethe-page-'));
    symlinkSync(path.join(repository, 'charts'), path.join(folder, 'charts'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('is six commands at most, and the README leads there', () => {
    const commands = blocks.flatMap(commandsIn);
    assert.ok(commands.length >= 3 && commands.length <= 6, commands.join('\n'));
    assert.equal(commands.length, blocks.length, 'a block is copied at once');
    const readme = readFileSync(path.join(repository, 'README.md'), 'utf8');
    assert.match(readme, /\(docs\/operators\/kubernetes\.md#from-there-to-a-running-release\)/);
  });

  it('names scripts, files and options that there are', () => {
    const { scripts } = JSON.parse(readFileSync(path.join(repository, 'package.json'), 'utf8')) as {
      readonly scripts: Readonly<Record<string, string>>;
    };
    assert.ok(blocks.includes('npm ci'));
    const [, script = '', , ...imageOptions] = only('npm', 'run');
    assert.match(scripts[script] ?? '', /^node \S+$/);
    const builder = path.join(repository, scripts[script]?.slice('node '.length) ?? '');
    execFileSync(process.execPath, [builder, ...imageOptions, '--help']);

    const applying = only('kubectl', 'apply');
    execFileSync(clients.kubectl, [...applying, '--help']);
    const [namespaceFile = '', secrets = '', ...more] = option(applying, 'filename');
    assert.deepEqual([secrets, more], ['secrets/', []]);
    const made = load(readFileSync(path.join(repository, namespaceFile), 'utf8')) as {
      readonly kind: string;
      readonly metadata: { readonly name: string; readonly labels: Record<string, string> };
    };
    assert.equal(made.kind, 'Namespace');
    assert.equal(made.metadata.labels['pod-security.kubernetes.io/enforce'], 'restricted');

    const testing = only('helm', 'test');
    execFileSync(clients.helm, [...testing, '--help']);
    const namespaces = [applying, only('helm', 'install'), testing].flatMap((words) =>
      option(words, 'namespace'),
    );
    assert.deepEqual(new Set(namespaces), new Set([made.metadata.name]));
    assert.equal(namespaces.length, 3);
  });

  it('renders with exactly these values, and asks for exactly the Secrets that the page names', () => {
    const [given = ''] = blocks.filter((each) => each.startsWith('cat > '));
    const { name: file, text } = fileWrittenBy(given) ?? { name: '', text: '' };
    writeFileSync(path.join(folder, file), text);
    const building = only('npm', 'run');
    const [prefix = ''] = option(building, 'prefix');
    const [images = ''] = option(building, 'push');
    const digests = imageWishes.map(({ name }) => [name, `sha256:${'d'.repeat(64)}`] as const);
    writeFileSync(path.join(folder, images), imageValues(prefix, new Map(digests)));

    const installing = only('helm', 'install');
    assert.deepEqual(option(installing, 'values').toSorted(), [images, file].toSorted());
    const said = execFileSync(clients.helm, [...installing, '--dry-run=client'], {
      cwd: folder,
      encoding: 'utf8',
    });
    const [, manifest = ''] = said.split(/^MANIFEST:$/m);
    const [, hooks = ''] = said.split('MANIFEST:')[0]?.split(/^HOOKS:$/m) ?? [];
    const objects = parseObjects(`${hooks}\n---\n${manifest.split(/^NOTES:$/m)[0]}`);
    assert.equal(ofKind(objects, 'Deployment').length, 6);
    assert.equal(ofKind(objects, 'Job').length, 7);
    for (const pod of podsOf(objects)) {
      for (const { image } of containersOf(pod)) assert.ok(image.startsWith(`${prefix}/`), image);
    }
    const mounted = podsOf(objects).flatMap(({ spec }) =>
      (spec.volumes ?? []).flatMap(({ secret }) =>
        (secret?.items ?? []).map(({ key }) => `${secret?.secretName} ${key}`),
      ),
    );
    assert.deepEqual([...new Set(mounted)].toSorted(), entriesOfPage().toSorted());
  });

  it('makes a signing key and its public half by the line that it gives', () => {
    const [line = ''] = blocksIn(sectionOf(page, 'What you bring'));
    const [, script = ''] = /^node -e '(.*)'$/.exec(line) ?? [];
    const own = path.join(folder, 'key');
    mkdirSync(own);
    execFileSync(process.execPath, ['-e', script], { cwd: own });
    const made = (name: string) => readFileSync(path.join(own, name), 'utf8');
    assert.ok(existsSync(path.join(own, 'signing.jwk')));
    const jwk = JSON.parse(made('signing.jwk')) as { readonly crv: string };
    assert.equal(jwk.crv, 'Ed25519');
    const half = createPublicKey(createPrivateKey({ key: jwk as never, format: 'jwk' }));
    assert.equal(half.export({ type: 'spki', format: 'pem' }), made('certificate-key.pem'));
  });
});

/** "<Secret> <entry>" of the page's table, with its short cuts written out. */
function entriesOfPage(): readonly string[] {
  const services = imageWishes.map(({ name }) => name).filter((name) => name !== 'client');
  const rows = [
    ...sectionOf(page, 'What you bring').matchAll(/^\| `(lethe-[^`]+)`[^|]*\| (.*) \|$/gm),
  ];
  const passwords = 'a password per service under its name';
  let previous: readonly string[] = [];
  return rows.flatMap(([, secret = '', text = '']) => {
    const named = [...text.matchAll(/`([a-z]+(?:[.-][a-z]+)+|token|password)`/g)]
      .map(([, name = '']) => name)
      // A name that clients call, and what may lie there instead.
      .filter((name) => !name.endsWith('.svc') && name !== 'public-key.pem');
    const perService = text.startsWith(passwords) || text.startsWith('the same');
    const own = perService ? [...services, 'ca.crt', ...named] : named;
    const entries = text.startsWith('the same') ? [...previous, ...own] : own;
    previous = entries;
    const names = secret.includes('<service>')
      ? services.map((name) => secret.replace('<service>', name))
      : [secret];
    return names.flatMap((name) => [...new Set(entries)].map((entry) => `${name} ${entry}`));
  });
}
