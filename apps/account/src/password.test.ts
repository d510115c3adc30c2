import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import type { Identity, User } from './management.ts';
import { mailLink, passwords, startsWithPassword } from './password.ts';
import { ApiError, explain } from './problem.ts';

const database = (user_id: string, extra: Partial<Identity> = {}): Identity => ({ provider: 'auth0', connection: 'users', user_id, isSocial: false, ...extra });
const config = { domain: 'id.example', client_id: 'page', audience: 'https://first.example/api/v2/' };

const real = globalThis.fetch;
afterEach(() => {
  globalThis.fetch = real;
});

test('each account of a database connection has a password, with the address of its own', () => {
  const user: User = {
    user_id: 'auth0|1',
    email: 'ada@example.com',
    identities: [
      database('1'),
      { provider: 'google-oauth2', connection: 'google-oauth2', user_id: '2', isSocial: true, profileData: { email: 'ada@google.example' } },
      database('3', { connection: 'partners', profileData: { email: 'ada@partner.example', name: 'Ada' } }),
      { provider: 'email', connection: 'email', user_id: '4', profileData: { email: 'ada@home.example' } },
      database('5', { profileData: { username: 'ada' } }),
    ],
  };
  assert.deepEqual(passwords(user).map(({ email, identity }) => [email, identity.connection]), [['ada@example.com', 'users'], ['ada@partner.example', 'partners'], [undefined, 'users']]);
});

test('the user’s address is none of a linked account’s', () => {
  const user: User = { user_id: 'google-oauth2|2', email: 'ada@google.example', identities: [{ provider: 'google-oauth2', connection: 'google-oauth2', user_id: '2' }, database('1')] };
  assert.deepEqual(passwords(user), [{ identity: database('1') }]);
});

test('who signs in by other means has no password', () => {
  for (const provider of ['email', 'sms', 'google-oauth2', 'samlp']) {
    assert.deepEqual(passwords({ user_id: `${provider}|1`, email: 'ada@example.com', identities: [{ provider, connection: 'users', user_id: '1' }] }), []);
    assert.equal(startsWithPassword(`${provider}|1`), false);
  }
  assert.deepEqual(passwords({ user_id: 'auth0|1' }), []);
  assert.equal(startsWithPassword('auth0|1'), true);
});

test('a link is asked for at the host of the page, without a token or a cookie', async () => {
  const calls: [string, RequestInit | undefined][] = [];
  globalThis.fetch = async (url, init) => {
    calls.push([String(url), init]);
    return new Response("We've just sent you an email to reset your password.", { headers: { 'content-type': 'text/html' } });
  };
  await mailLink(config, 'ada@example.com', 'users');
  assert.equal(calls.length, 1);
  const [url, init] = calls[0] ?? assert.fail();
  assert.equal(url, 'https://id.example/dbconnections/change_password');
  assert.deepEqual([init?.method, init?.credentials, new Headers(init?.headers).get('authorization')], ['POST', 'omit', null]);
  assert.deepEqual(JSON.parse(String(init?.body)), { client_id: 'page', email: 'ada@example.com', connection: 'users' });
});

test('what the server refuses is told in its words, and too many requests with the time to wait', async () => {
  const told = async (answer: Response) => {
    globalThis.fetch = async () => answer;
    const error: unknown = await mailLink(config, 'ada@example.com', 'users').catch((error: unknown) => error);
    assert.ok(error instanceof ApiError);
    return explain(error);
  };
  assert.equal(await told(Response.json({ error: 'email is required' }, { status: 400 })), 'The server did not accept this: email is required');
  const limited = { error: 'too_many_requests', error_description: 'Global limit has been reached' };
  assert.equal(await told(Response.json(limited, { status: 429, headers: { 'retry-after': '12' } })), 'That was a lot of requests. Wait 12 seconds, then try again.');
  assert.equal(await told(Response.json({ error: 'temporarily_unavailable' }, { status: 503 })), 'The server had a problem. Try again in a moment.');
});
