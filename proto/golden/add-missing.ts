/** `npm run golden -w @lethe/proto`: adds the golden records that are missing and touches no other. */
import { toBinary, toJson } from '@bufbuild/protobuf';
import { contract } from '../contract.ts';
import { descriptorsPath, readDescriptors } from '../descriptors.ts';
import { schemaVersionOf } from '../schema-versions.ts';
import { eventCases } from '../shape-law.ts';
import { exampleEvent } from './example-event.ts';
import { addGolden, hasGolden } from './golden-files.ts';

const registry = readDescriptors(descriptorsPath);
for (const event of eventCases(registry, contract)) {
  const type = event.message.name;
  const schemaVersion = schemaVersionOf(type);
  if (!hasGolden(type, schemaVersion)) {
    const union = event.unionField.parent;
    const message = exampleEvent(event);
    addGolden(type, schemaVersion, {
      bytes: toBinary(union, message),
      json: toJson(union, message, { registry }),
    });
    process.stdout.write(`added ${type}.v${schemaVersion}\n`);
  }
}
