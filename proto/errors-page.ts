import { writeFileSync } from 'node:fs';
import { errorDomain, reasons } from './reasons.ts';

/** Where the page lies. */
export const errorsPageFile = new URL('../docs/errors.md', import.meta.url);

const introduction = `# Errors

Every error of the gRPC services is a \`google.rpc.Status\` with a canonical code and, in the trailer
\`grpc-status-details-bin\`, the standard details:

- \`google.rpc.ErrorInfo\` with a \`reason\` from the table below and the domain \`${errorDomain}\`;
- \`google.rpc.BadRequest\` with a path and a rule for every broken field, where fields are broken;
- \`google.rpc.RetryInfo\` with a delay, where waiting helps.

A reason never changes its code or its meaning. A message names ids and rules, never a value of personal data.
Codes that may succeed on a retry: ABORTED, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, UNAVAILABLE. Single events of an
append are answered one by one and do not fail their batch; their \`reason\` is from the same table.

This page is written from \`proto/reasons.ts\` by \`npm run docs -w @lethe/proto\`; a test holds the two together.

| reason | code | what happened | what to do |
|---|---|---|---|
`;

/** docs/errors.md as the catalogue of reasons says it. */
export function errorsPage(): string {
  const rows = Object.entries(reasons).map(
    ([reason, entry]) => `| \`${reason}\` | ${entry.code} | ${entry.meaning} | ${entry.next} |\n`,
  );
  return introduction + rows.join('');
}

if (import.meta.main) writeFileSync(errorsPageFile, errorsPage());
