/** Writes docs/sealing-vectors.json anew. A difference to the committed file is a change of the format. */
import { writeFileSync } from 'node:fs';
import { sealingVectors } from './sealing-vectors.ts';

writeFileSync(
  new URL('../../../../docs/sealing-vectors.json', import.meta.url),
  `${JSON.stringify(sealingVectors(), undefined, 2)}\n`,
);
