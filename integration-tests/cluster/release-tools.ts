import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { serviceNames } from '@lethe/proto/access.ts';
import { type PathRouter, publicRoutes, startPathRouter } from '../../deploy/local/path-router.ts';
import type { ClusterGiven } from './given.ts';
import { issueSecrets, secretObjects } from './secrets.ts';
import type { ClusterSystems } from './systems.ts';

const run = promisify(execFile);
const outputBytesMax = 64 * 1024 * 1024;
const chart = 'charts/lethe';

/** A pod of a service, as far as it is looked at. */
export interface ServicePod {
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
  readonly spec: { readonly containers: readonly { readonly image: string }[] };
  readonly status: {
    readonly phase: string;
    readonly containerStatuses?: readonly {
      readonly ready: boolean;
      readonly restartCount: number;
    }[];
  };
}

/** One release in a namespace of its own. */
export interface ReleaseTools {
  readonly name: string;
  /** Answers what it said; throws with that. */
  readonly kubectl: (...args: readonly string[]) => Promise<string>;
  readonly helm: (...args: readonly string[]) => Promise<string>;
  /** In the namespace. */
  readonly here: readonly string[];
  readonly apply: (fileName: string, text: string) => Promise<string>;
  /** The namespace at the restricted level, and the Secrets that the chart asks for. */
  readonly prepare: (systems: ClusterSystems) => Promise<void>;
  /** `helm install --wait`. */
  readonly install: (values: unknown) => Promise<void>;
  /** `helm uninstall`, until the services' pods are gone. */
  readonly uninstall: () => Promise<void>;
  /** Of the six services. */
  readonly pods: () => Promise<readonly ServicePod[]>;
  /** One address for all public APIs, as an ingress would give it; `server.json` in the folder has it for `lethe`. */
  readonly openRouter: () => Promise<PathRouter>;
  /** What helps whoever reads a run that failed. */
  readonly sayPods: () => Promise<void>;
}

/** `folder` takes certificates, the issuer's key and what is applied. */
export function releaseTools(given: ClusterGiven, namespace: string, folder: string): ReleaseTools {
  const name = 'lethe';
  const here = ['--namespace', namespace];
  const { kubectl, helm } = commandsOf(given);
  const apply = async (fileName: string, text: string): Promise<string> => {
    const file = path.join(folder, fileName);
    writeFileSync(file, text, { mode: 0o600 });
    return await kubectl('apply', '-f', file);
  };
  const pods = async (): Promise<readonly ServicePod[]> => {
    const selector = ['--selector', `app.kubernetes.io/instance=${name}`];
    const said = await kubectl('get', 'pods', ...here, ...selector, '-o', 'json');
    const { items } = JSON.parse(said) as { readonly items: readonly ServicePod[] };
    return items.filter(({ metadata: { labels } }) =>
      serviceNames.some((each) => each === labels['app.kubernetes.io/component']),
    );
  };
  return {
    name,
    kubectl,
    helm,
    here,
    apply,
    pods,
    prepare: async (systems) => {
      const secrets = issueSecrets(systems, namespace, name, folder);
      await kubectl('create', 'namespace', namespace);
      const level = 'pod-security.kubernetes.io/enforce=restricted';
      await kubectl('label', 'namespace', namespace, level);
      await apply('secrets.json', secretObjects(secrets, namespace));
    },
    install: async (values) => {
      const file = path.join(folder, 'values.json');
      writeFileSync(file, JSON.stringify(values));
      await helm('install', name, chart, ...here, '-f', file, '--wait', '--timeout', '20m');
    },
    uninstall: async () => {
      await helm('uninstall', name, ...here, '--wait', '--timeout', '10m');
      const services = `app.kubernetes.io/component in (${serviceNames.join(',')})`;
      const gone = ['--for=delete', '--selector', services];
      await kubectl('wait', 'pods', ...here, ...gone, '--timeout=5m');
    },
    openRouter: async () => await openRouterOf({ name, here, kubectl, pods }, folder),
    sayPods: async () => {
      const told = await Promise.allSettled([
        kubectl('get', 'pods', ...here, '-o', 'wide'),
        kubectl('get', 'events', ...here, '--sort-by=.lastTimestamp'),
        ...serviceNames.map((service) =>
          kubectl('logs', ...here, `deployment/${name}-${service}`, '--tail=15'),
        ),
      ]);
      for (const each of told) console.log(each.status === 'fulfilled' ? each.value : each.reason);
    },
  };
}

function commandsOf({ kubeconfig, kubectl, helm }: ClusterGiven) {
  const command = async (program: string, args: readonly string[]): Promise<string> => {
    try {
      const options = { maxBuffer: outputBytesMax };
      const { stdout } = await run(program, ['--kubeconfig', kubeconfig, ...args], options);
      return stdout.trim();
    } catch (error) {
      const { stderr, stdout } = error as { readonly stderr?: string; readonly stdout?: string };
      const said = `${stdout ?? ''}${stderr ?? ''}`;
      throw new Error(`${args.slice(0, 2).join(' ')}: ${said}`, { cause: error });
    }
  };
  return {
    kubectl: async (...args: readonly string[]) => await command(kubectl, args),
    helm: async (...args: readonly string[]) => await command(helm, args),
  };
}

async function openRouterOf(
  { name, here, kubectl, pods }: Pick<ReleaseTools, 'name' | 'here' | 'kubectl' | 'pods'>,
  folder: string,
): Promise<PathRouter> {
  const addresses = new Map<string, string>();
  for (const service of serviceNames) {
    const jsonPath = ['-o', 'jsonpath={.spec.clusterIP}'];
    const ip = await kubectl('get', 'service', ...here, `${name}-${service}`, ...jsonPath);
    addresses.set(service, `${ip}:7480`);
  }
  const router = await startPathRouter({
    routes: publicRoutes((service) => addresses.get(service) ?? ''),
    authorityPem: readFileSync(path.join(folder, 'authority.pem'), 'utf8'),
    isServing: async () => (await pods()).length === serviceNames.length,
  });
  const { address } = router;
  const info = { address, healthAddress: address, pid: process.pid };
  writeFileSync(path.join(folder, 'server.json'), JSON.stringify(info));
  return router;
}
