/** Run by `npm run generate` after buf: refuses a contract that breaks the shape law, then writes the shapes. */
import { writeFileSync } from 'node:fs';
import { contract } from './contract.ts';
import { descriptorsPath, readDescriptors } from './descriptors.ts';
import { checkShapes } from './shape-law.ts';
import { describeViolation } from './shape-rules.ts';
import { shapesSource } from './shapes-source.ts';

const registry = readDescriptors(descriptorsPath);
const violations = checkShapes(registry, contract);
if (violations.length > 0) {
  const lines = violations.map((violation) => `  ${describeViolation(violation)}\n`);
  process.stderr.write(`The contract breaks the shape law (proto/README.md):\n${lines.join('')}`);
  process.exitCode = 1;
} else {
  writeFileSync(new URL('gen/shapes.ts', import.meta.url), shapesSource(registry, contract));
}
