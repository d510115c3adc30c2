// What a browser holds can touch nobody else, and what nobody issued opens nothing.
import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { after, before, test } from 'node:test';
import { SignJWT } from 'jose';
import { serveApp } from '../lib/app.js';
import { launch, signIn, visitor } from '../lib/browser.js';
import { doorward, management, MANAGEMENT, newApi, newApp, newUser } from '../lib/setup.js';
import { call, claims, tokenCall, userPath } from '../lib/tokens.js';

const PAGE = '/callback.html';
const OWN = 'openid read:current_user update:current_user_metadata create:current_user_metadata';
const FORGED = { statusCode: 401, error: 'Unauthorized', message: 'Invalid signature received for JSON Web Token validation' };

let ada, app, bob, browser, client, tokens;

before(async () => {
  app = await serveApp();
  client = await newApp(app.origin, [PAGE]);
  browser = await launch();
  ada = await newUser();
  bob = await newUser({ user_metadata: { secret: 'of Bob' } });
  tokens = await obtain(ada, OWN);
});
after(async () => {
  await browser?.close();
  await app?.close();
});

/** Both tokens of an implicit sign-in. */
async function obtain(user, scope, audience = MANAGEMENT) {
  const page = await visitor(browser);
  const home = `${app.origin}${PAGE}`;
  const query = new URLSearchParams({
    client_id: client.client_id, response_type: 'token id_token', redirect_uri: home, scope, audience, nonce: 'n-1', state: 's-1',
  });
  await page.goto(`${doorward.issuer}authorize?${query}`);
  await signIn(page, user, home);
  const fragment = new URLSearchParams(new URL(page.url()).hash.slice(1));
  assert.equal(fragment.get('state'), 's-1');
  await page.context().close();
  return { access: fragment.get('access_token'), id: fragment.get('id_token') };
}

test('another user is out of reach, whether they exist or not', async () => {
  const foreign = {
    statusCode: 403, error: 'Forbidden', message: 'User to be acted on does not match subject in bearer token.', errorCode: 'unowned_resource',
  };
  for (const id of [bob.user_id, 'auth0|000000000000000000000000']) {
    assert.deepEqual(await call(tokens.access, 'GET', userPath(id)), { status: 403, body: foreign });
    assert.deepEqual(await call(tokens.access, 'PATCH', userPath(id), { user_metadata: { hacked: true } }), { status: 403, body: foreign });
  }
  assert.deepEqual((await management.users.get(bob.user_id)).user_metadata, { secret: 'of Bob' });
});

test('everything that is not about the user asks for a scope no user can hold', async () => {
  const closed = [
    ['GET', '/users'], ['POST', '/users'], ['DELETE', userPath(ada.user_id)], ['GET', `/users-by-email?email=${encodeURIComponent(bob.email)}`],
    ['GET', '/clients'], ['GET', '/connections'], ['GET', '/resource-servers'], ['GET', '/client-grants'], ['GET', '/grants'],
    ['GET', '/logs'], ['GET', '/tenants/settings'], ['PATCH', '/tenants/settings'], ['GET', '/branding'],
  ];
  for (const [method, path] of closed) {
    const answer = await call(tokens.access, method, path, method === 'POST' || method === 'PATCH' ? {} : undefined);
    assert.deepEqual([answer.status, answer.body?.errorCode], [403, 'insufficient_scope'], `${method} ${path}`);
  }
});

test('a user changes their own metadata and nothing else of themselves', async () => {
  for (const body of [{ email: 'x@example.com' }, { app_metadata: { admin: true } }, { blocked: false }, { password: 'Another-1234!' }]) {
    const name = Object.keys(body)[0];
    const answer = await call(tokens.access, 'PATCH', userPath(ada.user_id), { user_metadata: { a: 1 }, ...body });
    assert.deepEqual([answer.status, answer.body.message], [403, `You cannot update the following fields: ${name}`]);
  }
  assert.equal((await management.users.get(ada.user_id)).user_metadata, undefined);
});

test('a token without the scope of the operation is refused with the list that would do', async () => {
  const { access } = await obtain(ada, 'openid profile');
  assert.deepEqual(await call(access, 'GET', userPath(ada.user_id)), {
    status: 403,
    body: { statusCode: 403, error: 'Forbidden', message: 'Insufficient scope, expected any of: read:users,read:current_user,read:user_idp_tokens', errorCode: 'insufficient_scope' },
  });
});

test('a token whose claims were changed does not verify', async () => {
  const [header, , signature] = tokens.access.split('.');
  const body = { ...claims(tokens.access), sub: bob.user_id, scope: 'read:users update:users' };
  const forged = [header, Buffer.from(JSON.stringify(body)).toString('base64url'), signature].join('.');
  assert.equal((await call(forged, 'GET', userPath(bob.user_id))).status, 401);
});

test('a token signed with a key of one’s own does not verify, whichever key it names', async () => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const { kid } = JSON.parse(Buffer.from(tokens.access.split('.')[0], 'base64url'));
  const forge = (header) => new SignJWT({ ...claims(tokens.access), scope: 'read:users' }).setProtectedHeader({ alg: 'RS256', typ: 'JWT', ...header }).sign(privateKey);
  const named = await call(await forge({ kid }), 'GET', '/users');
  assert.deepEqual([named.status, named.body.message], [401, FORGED.message]);
  assert.equal((await call(await forge({ kid: 'unknown' }), 'GET', '/users')).status, 401);
  assert.equal((await call(await forge({}), 'GET', '/users')).status, 401);
});

test('neither no algorithm nor the public key as a secret makes a token', async () => {
  const payload = tokens.access.split('.')[1];
  const none = `${Buffer.from('{"alg":"none","typ":"JWT"}').toString('base64url')}.${payload}.`;
  assert.equal((await call(none, 'GET', userPath(ada.user_id))).status, 401);

  const { keys } = await (await fetch(`${doorward.issuer}.well-known/jwks.json`)).json();
  const pem = createPublicKey({ key: keys[0], format: 'jwk' }).export({ type: 'spki', format: 'pem' });
  const hmac = await new SignJWT(claims(tokens.access)).setProtectedHeader({ alg: 'HS256', typ: 'JWT', kid: keys[0].kid }).sign(Buffer.from(pem));
  assert.equal((await call(hmac, 'GET', userPath(ada.user_id))).status, 401);
});

test('an ID token, a token for another API and no token are all refused', async () => {
  const id = await call(tokens.id, 'GET', userPath(ada.user_id));
  assert.equal(id.status, 401);
  const api = await newApi();
  const other = await obtain(ada, 'openid read:things', api.identifier);
  const wrong = await call(other.access, 'GET', userPath(ada.user_id));
  assert.deepEqual([wrong.status, wrong.body.message], [401, `Bad audience: ${MANAGEMENT}`]);
  const bare = await fetch(`${doorward.issuer}api/v2${userPath(ada.user_id)}`);
  assert.deepEqual([bare.status, (await bare.json()).message], [401, 'Missing authentication']);
});

test('a machine client gets what its grant says, and a stranger gets nothing', async () => {
  const form = { grant_type: 'client_credentials', audience: MANAGEMENT, client_id: doorward.m2m.client_id };
  const good = await tokenCall({ ...form, client_secret: doorward.m2m.client_secret, scope: 'read:users' });
  assert.deepEqual([good.status, good.body.token_type, claims(good.body.access_token).sub], [200, 'Bearer', `${doorward.m2m.client_id}@clients`]);
  assert.equal(claims(good.body.access_token).scope, 'read:users');
  const bad = await tokenCall({ ...form, client_secret: 'wrong' });
  assert.deepEqual(bad, { status: 401, body: { error: 'access_denied', error_description: 'Unauthorized' } });
});
