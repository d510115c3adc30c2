import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse, patch } from './metadata.ts';

test('an object is taken, and an empty text means an empty object', () => {
  assert.deepEqual(parse('{"a":1}'), { value: { a: 1 } });
  assert.deepEqual(parse('  \n'), { value: {} });
});

test('anything but an object is refused in words', () => {
  for (const text of ['[]', 'null', '"x"', '1']) {
    assert.deepEqual(parse(text), { problem: 'Metadata is an object: start with { and end with }.' });
  }
});

test('broken JSON is told with its place', () => {
  assert.deepEqual(parse('{\n  "a": 1,\n  oops\n}'), { problem: 'This is not valid JSON: line 3, column 3.' });
});

test('names with a dot or a dollar sign are refused', () => {
  assert.deepEqual(parse('{"a.b":1}'), { problem: 'The name “a.b” may not hold a dot or a dollar sign.' });
  assert.deepEqual(parse('{"$a":1}'), { problem: 'The name “$a” may not hold a dot or a dollar sign.' });
  assert.deepEqual(parse('{"a":{"b.c":1}}'), { value: { a: { 'b.c': 1 } } });
});

test('a patch holds what changed and null for what is gone', () => {
  assert.deepEqual(patch({ a: 1, b: 2, c: { x: 1 } }, { a: 1, b: 3, c: { x: 1 }, d: [1] }), { b: 3, d: [1] });
  assert.deepEqual(patch({ a: 1, b: 2 }, { a: 1 }), { b: null });
  assert.deepEqual(patch({ a: 1 }, { a: null }), { a: null });
});

test('no change is no patch, because an empty one would remove everything', () => {
  assert.equal(patch({}, {}), undefined);
  assert.equal(patch({ a: { x: 1, y: 2 } }, { a: { y: 2, x: 1 } }), undefined);
  assert.equal(patch({}, { never: null }), undefined);
});

test('the order of a list counts, that of names does not', () => {
  assert.deepEqual(patch({ a: [1, 2] }, { a: [2, 1] }), { a: [2, 1] });
});

test('a name that objects inherit is an ordinary name', () => {
  const { value } = parse('{"__proto__":{"x":1},"constructor":2}') as { value: Record<string, unknown> };
  const made = patch({}, value) ?? {};
  assert.deepEqual(Object.keys(made), ['__proto__', 'constructor']);
  assert.equal(JSON.stringify(made), '{"__proto__":{"x":1},"constructor":2}');
});
