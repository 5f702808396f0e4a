import { readFileSync } from 'node:fs';
import path from 'node:path';
import { repository } from '../temporary-tree.ts';

/** Where a reader is led from four endpoints to a running release. */
export const kubernetesPage = readFileSync(
  path.join(repository, 'docs/operators/kubernetes.md'),
  'utf8',
);

/** The section under a title. */
export function sectionOf(title: string): string {
  const [, after = ''] = kubernetesPage.split(`## ${title}\n`);
  return after.split('\n## ')[0] ?? '';
}

/** What a reader copies: each block of a section. */
export function blocksIn(section: string): readonly string[] {
  return [...section.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, block = '']) => block.trim());
}

/** The commands, each a block to be copied. */
export function commandsOfPage(): readonly string[] {
  return blocksIn(sectionOf('From there to a running release'));
}

export interface GivenFile {
  readonly name: string;
  /** Of the here-document. */
  readonly text: string;
}

/** The file that a block writes by a here-document; undefined when it writes none. */
export function fileWrittenBy(block: string): GivenFile | undefined {
  const [, name, text] = /^cat > (\S+) <<'END'\n([\s\S]*)^END$/m.exec(block) ?? [];
  return name === undefined || text === undefined ? undefined : { name, text };
}
