import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createByteSearch, spellingsOf } from './byte-patterns.ts';

const text = 'Ümläut "quoted" Person+/?>~~~~';

describe('the byte search', () => {
  const search = createByteSearch([text, 'somebody-else@example.org']);
  const foundIn = (bytes: Buffer) =>
    search
      .in(Buffer.concat([randomBytes(1000), bytes, randomBytes(100)]))
      .map((found) => found.text);

  it('finds every spelling, wherever it lies', () => {
    for (const { name, bytes } of spellingsOf(text)) assert.deepEqual(foundIn(bytes), [text], name);
  });

  it('finds base64 of longer texts, whatever stands before and behind', () => {
    for (const before of ['', 'a', 'ab', 'abc']) {
      for (const encoding of ['base64', 'base64url'] as const) {
        const longer = Buffer.from(`${before}${text} and more`).toString(encoding);
        assert.ok(foundIn(Buffer.from(longer)).includes(text), `${before} ${encoding}`);
      }
    }
  });

  it('finds it at both ends, in UTF-16 of both orders and in JSON', () => {
    assert.equal(search.in(Buffer.from(text)).length, 1);
    assert.deepEqual(foundIn(Buffer.from(`${text}.`, 'utf16le').swap16()), [text]);
    assert.deepEqual(foundIn(Buffer.from(encodeURIComponent(text))), [text]);
  });

  it('finds nothing where nothing is', () => {
    assert.deepEqual(search.in(randomBytes(100_000)), []);
    assert.deepEqual(search.in(Buffer.from(text.slice(1))), []);
    assert.deepEqual(search.in(Buffer.alloc(0)), []);
  });

  it('takes no text that chance could write', () => {
    assert.throws(() => createByteSearch(['Ann Example']), RangeError);
  });
});
