import type { BuiltImage } from './build-images.ts';
import type { DockerCommand } from './docker-command.ts';

/** Digests by image, as a registry has them: what was pushed is what a cluster pulls. */
export type PushedDigests = ReadonlyMap<string, string>;

/** Pushes images; the daemon must be logged in. */
export async function pushImages(
  docker: DockerCommand,
  images: readonly Pick<BuiltImage, 'name' | 'reference'>[],
): Promise<PushedDigests> {
  const digests = new Map<string, string>();
  for (const { name, reference } of images) {
    await docker('push', '--quiet', reference);
    const said = await docker('image', 'inspect', '--format', '{{json .RepoDigests}}', reference);
    digests.set(name, digestIn(JSON.parse(said) as readonly string[], reference));
  }
  return digests;
}

/** Of an image that was pushed to several registries, that of the one in its reference. */
function digestIn(known: readonly string[], reference: string): string {
  const repository = reference.replace(/:[^:/]+$/, '');
  const found = known.find((each) => each.startsWith(`${repository}@`));
  if (found === undefined) throw new Error(`the registry gave no digest for ${reference}`);
  return found.slice(repository.length + 1);
}

/** Values of the chart: where the images lie, each by its digest. `prefix` begins with the registry's host. */
export function imageValues(prefix: string, digests: PushedDigests): string {
  const [registry = '', ...repository] = prefix.split('/');
  const lines = [...digests].map(([name, digest]) => `    ${name}: ${digest}\n`);
  return `# Written by npm run images: what was pushed.
image:
  registry: ${registry}
  repository: ${repository.join('/')}
  digests:
${lines.join('')}`;
}

/** Whether a prefix names a host and a path there, as `docker push` needs it. */
export function isPushable(prefix: string): boolean {
  return /^(localhost|[a-z0-9-]+(\.[a-z0-9-]+)+|[a-z0-9-]+(?=:))(:\d+)?(\/[a-z0-9._-]+)+$/.test(
    prefix,
  );
}
