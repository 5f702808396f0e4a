import assert from 'node:assert/strict';
import { createProblems, parseErasureId, parsePageSize } from './parse-request.ts';

describe('parsing a request', () => {
  it('names every broken rule in one refusal, and refuses nothing without any', () => {
    const problems = createProblems();
    problems.refuse();
    problems.add('a', 'is required');
    problems.add('b[1]', '16 bytes');
    const violations = [
      { field: 'a', description: 'is required' },
      { field: 'b[1]', description: '16 bytes' },
    ];
    assert.deepEqual(problems.found, violations);
    assert.throws(() => problems.refuse(), { reason: 'INVALID_FIELDS', violations });
  });

  it('takes the id of an erasure in any case, to one form', () => {
    const erasureId = '0198c1de-5f00-7abc-8def-0123456789ab';
    assert.equal(parseErasureId(erasureId.toUpperCase()), erasureId);
    for (const text of ['', 'x', erasureId.slice(1), `${erasureId} `]) {
      assert.throws(() => parseErasureId(text), { reason: 'INVALID_FIELDS' });
    }
  });

  it('bounds a page, and knows its size when none is asked for', () => {
    assert.deepEqual(
      [0, 1, 200].map((asked) => parsePageSize(asked, 50, 200)),
      [50, 1, 200],
    );
    assert.throws(() => parsePageSize(201, 50, 200), { reason: 'INVALID_FIELDS' });
  });
});
