import { methodAccess, type ServiceName } from '@lethe/proto/access.ts';

/** gRPC services that clients call, by the service that has them: its own package, and its own of parking and rebuild. */
export function publicApis(name: ServiceName): readonly string[] {
  const called = Object.entries(methodAccess)
    .filter(([, access]) => access.kind !== 'services')
    .map(([path]) => path.split('/')[1] ?? '');
  const word = `${name[0]?.toUpperCase() ?? ''}${name.slice(1)}`;
  const isIts = (api: string) =>
    api.startsWith(`lethe.${name}.v1.`) ||
    (/^lethe\.(parking|rebuild)\.v1\./.test(api) && api.includes(`.${word}`));
  return [...new Set(called)].filter(isIts).toSorted();
}
