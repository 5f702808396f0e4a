import { readFileSync } from 'node:fs';
import path from 'node:path';
import { repository } from '../temporary-tree.ts';

/** The page that leads a reader from four endpoints to a running release, as a checkout has it. */
export function kubernetesPage(checkout: string = repository): string {
  return readFileSync(path.join(checkout, 'docs/operators/kubernetes.md'), 'utf8');
}

/** The section under a title. */
export function sectionOf(page: string, title: string): string {
  const [, after = ''] = page.split(`## ${title}\n`);
  return after.split('\n## ')[0] ?? '';
}

/** What a reader copies: each block of a section. */
export function blocksIn(section: string): readonly string[] {
  return [...section.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, block = '']) => block.trim());
}

/** The commands, each a block to be copied. */
export function commandsOf(page: string): readonly string[] {
  return blocksIn(sectionOf(page, 'From there to a running release'));
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
