import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { errorsPage, errorsPageFile } from './errors-page.ts';
import { reasons } from './reasons.ts';

describe('the catalogue of reasons', () => {
  it('is what docs/errors.md says; `npm run docs -w @lethe/proto` writes it', () => {
    assert.equal(readFileSync(errorsPageFile, 'utf8'), errorsPage());
  });

  it('says of every reason what happened and what to do, in sentences without a table break', () => {
    for (const [reason, entry] of Object.entries(reasons)) {
      for (const text of [entry.meaning, entry.next]) assert.match(text, /^[^|\n]+\.$/, reason);
    }
  });
});
