import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode, permissions } from './permissions.ts';

const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

test('a token is read with its claims and expiry, letters beyond ASCII included', () => {
  const token = decode(`${part({ alg: 'RS256' })}.${part({ name: 'Zoë', exp: 1700000000 })}.sig`);
  assert.deepEqual(token, { header: { alg: 'RS256' }, claims: { name: 'Zoë', exp: 1700000000 }, expiresAt: 1700000000000 });
});

test('what is not a token is not guessed at', () => {
  assert.equal(decode('opaque'), undefined);
  assert.equal(decode('a.b.c'), undefined);
});

test('asked scopes keep their order and say whether they were granted', () => {
  assert.deepEqual(
    permissions(['openid', 'read:current_user', 'email'], 'email openid').map((p) => [p.scope, p.granted]),
    [['openid', true], ['read:current_user', false], ['email', true]],
  );
});

test('a scope granted beyond what was asked is shown, not hidden', () => {
  assert.deepEqual(permissions([], 'read:users'), [{ scope: 'read:users', meaning: 'read:users', granted: true }]);
  assert.deepEqual(permissions(['openid'], undefined).map((p) => p.granted), [false]);
});
