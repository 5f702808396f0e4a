import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repository, withTemporaryTree, type Files } from './temporary-tree.ts';

interface CruiseResult {
  readonly summary: {
    readonly violations: readonly {
      readonly from: string;
      readonly to: string;
      readonly rule: { readonly name: string };
    }[];
  };
}

const rulesFile = join(repository, '.dependency-cruiser.json');

const workspaces: Readonly<Record<string, string>> = {
  proto: './*',
  'services/platform': './src/*',
  'services/tickets': './src/*',
  'services/keys': './src/*',
  'services/cli': './src/*',
  'services/standalone': './src/*',
};

function manifests(): Files {
  const dependencies = Object.fromEntries(
    Object.keys(workspaces).map((path) => [packageName(path), '*']),
  );
  return Object.fromEntries(
    Object.entries(workspaces).map(([path, target]) => [
      `${path}/package.json`,
      JSON.stringify({
        name: packageName(path),
        exports: { './*': target },
        dependencies: { ...dependencies, '@electric-sql/pglite': '*', pino: '*' },
        devDependencies: { 'fast-check': '*' },
      }),
    ]),
  );
}

function packageName(path: string): string {
  return `@lethe/${path.replace('services/', '')}`;
}

/** Runs the repository's own rules over the files; answers `rule: from -> to`, sorted. */
function violations(files: Files): string[] {
  const found: string[] = [];
  withTemporaryTree({ ...manifests(), ...files }, (tree) => {
    for (const path of Object.keys(workspaces)) {
      tree.link(`node_modules/${packageName(path)}`, path);
    }
    for (const name of ['@electric-sql/pglite', 'chdb', 'fast-check', 'pino', 'uuid']) {
      tree.link(`node_modules/${name}`, join(repository, 'node_modules', name));
    }
    const rooms = [...new Set(Object.keys(files).map((path) => path.split('/')[0] ?? path))];
    const args = ['--config', rulesFile, '--output-type', 'json', ...rooms];
    const result = JSON.parse(tree.run('depcruise', args)) as CruiseResult;
    for (const { rule, from, to } of result.summary.violations) {
      // Of an installed package only the name: which of its files is not ours to know.
      const target = to.replace(/^.*node_modules\/((@[^/]+\/)?[^/]+).*$/, '$1');
      found.push(`${rule.name}: ${from} -> ${target}`);
    }
  });
  return found.sort();
}

/** One violation per rule: the files, and which of their imports the rule must name. */
const forbidden: Readonly<Record<string, { files: Files; from: string; to: string }>> = {
  resolvable: {
    files: { 'services/keys/src/rpc/a.ts': `import './missing.ts';` },
    from: 'services/keys/src/rpc/a.ts',
    to: './missing.ts',
  },
  'no-circle': {
    files: {
      'services/keys/src/rpc/a.ts': `import './b.ts';`,
      'services/keys/src/rpc/b.ts': `import type { A } from './a.ts';`,
    },
    from: 'services/keys/src/rpc/a.ts',
    to: 'services/keys/src/rpc/b.ts',
  },
  'declared-dependencies': {
    files: { 'services/keys/src/rpc/a.ts': `import 'uuid';` },
    from: 'services/keys/src/rpc/a.ts',
    to: 'uuid',
  },
  'no-dev-dependency-in-production': {
    files: { 'services/keys/src/rpc/a.ts': `import 'fast-check';` },
    from: 'services/keys/src/rpc/a.ts',
    to: 'fast-check',
  },
  'proto-depends-on-nothing': {
    files: {
      'proto/a.ts': `import type { B } from '@lethe/platform/b.ts';`,
      'services/platform/src/b.ts': '',
    },
    from: 'proto/a.ts',
    to: 'services/platform/src/b.ts',
  },
  'platform-knows-only-proto': {
    files: {
      'services/platform/src/a.ts': `import type { B } from '@lethe/keys/b.ts';`,
      'services/keys/src/b.ts': '',
    },
    from: 'services/platform/src/a.ts',
    to: 'services/keys/src/b.ts',
  },
  'service-knows-only-platform-and-proto': {
    files: {
      'services/tickets/src/a.ts': `import type { B } from '../../keys/src/b.ts';`,
      'services/keys/src/b.ts': '',
    },
    from: 'services/tickets/src/a.ts',
    to: 'services/keys/src/b.ts',
  },
  'cli-knows-only-proto': {
    files: {
      'services/cli/src/a.ts': `import '@lethe/platform/b.ts';`,
      'services/platform/src/b.ts': '',
    },
    from: 'services/cli/src/a.ts',
    to: 'services/platform/src/b.ts',
  },
  'standalone-knows-no-client': {
    files: {
      'services/standalone/src/a.ts': `import '@lethe/cli/b.ts';`,
      'services/cli/src/b.ts': '',
    },
    from: 'services/standalone/src/a.ts',
    to: 'services/cli/src/b.ts',
  },
  'nothing-imports-a-main': {
    files: {
      'services/standalone/src/a.ts': `import '@lethe/keys/main.ts';`,
      'services/keys/src/main.ts': '',
    },
    from: 'services/standalone/src/a.ts',
    to: 'services/keys/src/main.ts',
  },
  'only-main-imports-app': {
    files: {
      'services/keys/src/rpc/a.ts': `import type { App } from '../app.ts';`,
      'services/keys/src/app.ts': '',
    },
    from: 'services/keys/src/rpc/a.ts',
    to: 'services/keys/src/app.ts',
  },
  'store-serves-only-app-rpc-and-consumer': {
    files: {
      'services/keys/src/store.ts': `import './consumer.ts';`,
      'services/keys/src/consumer.ts': '',
    },
    from: 'services/keys/src/store.ts',
    to: 'services/keys/src/consumer.ts',
  },
  'domain-knows-no-adapter': {
    files: {
      'services/tickets/src/ticket.ts': `import type { Row } from './store.ts';`,
      'services/tickets/src/store.ts': '',
    },
    from: 'services/tickets/src/ticket.ts',
    to: 'services/tickets/src/store.ts',
  },
  'domain-imports-only-types': {
    files: { 'services/tickets/src/ticket.ts': `import { randomUUID } from 'node:crypto';` },
    from: 'services/tickets/src/ticket.ts',
    to: 'crypto',
  },
  'embedded-engines-only-in-standalone': {
    files: {
      'services/tickets/src/store.ts': `import { PGlite } from '@electric-sql/pglite';`,
    },
    from: 'services/tickets/src/store.ts',
    to: '@electric-sql/pglite',
  },
  'production-imports-no-test': {
    files: {
      'services/tickets/src/store.ts': `import '@lethe/platform/testing/b.ts';`,
      'services/platform/src/testing/b.ts': '',
    },
    from: 'services/tickets/src/store.ts',
    to: 'services/platform/src/testing/b.ts',
  },
  'only-tests-import-deploy': {
    files: {
      'services/standalone/src/a.ts': `import type { B } from '../../../deploy/local/b.ts';`,
      'deploy/local/b.ts': '',
    },
    from: 'services/standalone/src/a.ts',
    to: 'deploy/local/b.ts',
  },
  'rooms-have-names': {
    files: {
      'services/platform/src/a.ts': `import './utils/b.ts';`,
      'services/platform/src/utils/b.ts': '',
    },
    from: 'services/platform/src/a.ts',
    to: 'services/platform/src/utils/b.ts',
  },
};

describe('the architecture rules', () => {
  for (const [rule, { files, from, to }] of Object.entries(forbidden)) {
    it(`${rule} is red for ${from} -> ${to}`, () => {
      const found = violations(files);
      assert.ok(found.includes(`${rule}: ${from} -> ${to}`), `found only ${found.join('\n')}`);
    });
  }

  it('have each a violation here', () => {
    const rules = JSON.parse(readFileSync(rulesFile, 'utf8')) as {
      readonly forbidden: readonly { readonly name: string }[];
    };
    assert.deepEqual(rules.forbidden.map(({ name }) => name).sort(), Object.keys(forbidden).sort());
  });

  it('let the arrows of the design pass', () => {
    const found = violations({
      'proto/gen/lethe/tickets/v1/events.ts': 'export const Status = { OPEN: 1 } as const;',
      'services/platform/src/ids/ids.ts': `import '@lethe/proto/gen/lethe/tickets/v1/events.ts';`,
      'services/platform/src/database/pglite.ts': `import type { P } from '@electric-sql/pglite';`,
      'services/platform/src/testing/database.ts': `import '@electric-sql/pglite';`,
      'services/tickets/src/main.ts': `import './app.ts';`,
      'services/tickets/src/app.ts': `import './rpc/a.ts'; import './consumer.ts'; import './store.ts';`,
      'services/tickets/src/rpc/a.ts': `import '../ticket.ts'; import type { S } from '../store.ts';`,
      'services/tickets/src/consumer.ts': `import './ticket.ts'; import './store.ts';`,
      'services/tickets/src/store.ts': `import type { T } from './ticket.ts'; import 'pino';`,
      'services/tickets/src/ticket.ts':
        `import type { Id } from '@lethe/platform/ids/ids.ts';` +
        `import { Status } from '@lethe/proto/gen/lethe/tickets/v1/events.ts';`,
      'services/tickets/src/ticket.test.ts': `import './ticket.ts'; import 'fast-check'; import '@lethe/platform/testing/database.ts';`,
      'services/keys/src/app.ts': `import '@lethe/platform/ids/ids.ts';`,
      'services/standalone/src/main.ts': `import './app.ts';`,
      'services/standalone/src/app.ts': `import '@lethe/tickets/app.ts'; import '@lethe/keys/app.ts'; import '@electric-sql/pglite';`,
      'services/cli/src/main.ts': `import '@lethe/proto/gen/lethe/tickets/v1/events.ts';`,
    });
    assert.deepEqual(found, []);
  });
});
