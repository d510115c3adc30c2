import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kind, nameOf } from './identities.ts';
import type { Identity, User } from './management.ts';

const database: Identity = { provider: 'auth0', connection: 'Username-Password-Authentication', user_id: '1' };
const user: User = { user_id: 'auth0|1', email: 'ada@example.com', name: 'Ada' };

test('a kind is named for people, an unknown one by its connection', () => {
  assert.equal(kind(database), 'Email and password');
  assert.equal(kind({ provider: 'google-oauth2', connection: 'google-oauth2', user_id: '1' }), 'Google');
  assert.equal(kind({ provider: 'samlp', connection: 'acme', user_id: 'acme|x' }), 'acme');
  assert.equal(kind({ provider: 'constructor', connection: 'c', user_id: '1' }), 'c');
});

test('the first account is the user, the others have their own names', () => {
  assert.equal(nameOf(database, true, user), 'ada@example.com');
  assert.equal(nameOf({ ...database, profileData: { email: 'old@example.com' } }, true, user), 'old@example.com');
  assert.equal(nameOf({ ...database, user_id: 'x' }, false, user), 'auth0|x');
  assert.equal(nameOf({ ...database, profileData: { username: 'grace', name: 'Grace' } }, false, user), 'grace');
});
