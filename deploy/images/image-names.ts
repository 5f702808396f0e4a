import { serviceNames } from '@lethe/proto/access.ts';

/** One image: its name is `<prefix>/<name>`. */
export interface ImageWish {
  readonly name: string;
  /** The workspace that is in it. */
  readonly workspace: string;
  readonly title: string;
}

/** All that are deployed: the services, and the command line for whoever looks after them. */
export const imageWishes: readonly ImageWish[] = [
  ...serviceNames.map((name) => ({
    name,
    workspace: `services/${name}`,
    title: `Lethe: the ${name} service`,
  })),
  { name: 'client', workspace: 'services/cli', title: 'Lethe: the lethe command' },
];
