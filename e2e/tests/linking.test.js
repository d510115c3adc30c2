// A person links a second account, unlinks it, and registers a device, from the browser with nothing but their own token.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { serveApp } from '../lib/app.js';
import { agreeIfAsked, launch, signIn, typePassword, visitor } from '../lib/browser.js';
import { CONNECTION, doorward, management, MANAGEMENT, newApp, newUser } from '../lib/setup.js';
import { verified } from '../lib/tokens.js';

const PAGE = '/implicit.html';
const SCOPE = 'openid read:current_user update:current_user_identities create:current_user_device_credentials delete:current_user_device_credentials';

let app, browser, client, home;

before(async () => {
  app = await serveApp();
  home = `${app.origin}${PAGE}`;
  client = await newApp(app.origin, [PAGE]);
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await app?.close();
});

function settings(extra = {}) {
  return {
    domain: doorward.domain, clientID: client.client_id, redirectUri: home, audience: MANAGEMENT, scope: SCOPE,
    responseType: 'token id_token', ...extra,
  };
}

/** Opens the app and starts the implicit flow from it. */
async function authorize(page, extra = {}) {
  await page.goto(home);
  await page.evaluate((options) => void setTimeout(() => new window.auth0.WebAuth(options).authorize(options)), settings(extra));
}

function parseHash(page, extra = {}) {
  return page.evaluate((options) => new Promise((resolve) => {
    new window.auth0.WebAuth(options).parseHash((error, result) => resolve({ error, result }));
  }), settings(extra));
}

function checkSession(page) {
  return page.evaluate((options) => new Promise((resolve) => {
    new window.auth0.WebAuth(options).checkSession({}, (error, result) => resolve({ error, result }));
  }), settings());
}

/** `auth0.Management` with a person's token. */
function manage(page, token, method, ...args) {
  return page.evaluate(([options, name, rest]) => new Promise((resolve) => {
    new window.auth0.Management(options)[name](...rest, (error, body) => {
      resolve({ error: error && { status: error.statusCode, ...error.original.response.body }, body });
    });
  }), [{ domain: doorward.domain, token }, method, args]);
}

/** A call of the page's own, as any app writes it. */
function call(page, token, method, path, body) {
  return page.evaluate(async ([url, method, token, body]) => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const response = await fetch(url, { method, headers, body: body && JSON.stringify(body) });
    const text = await response.text();
    return { status: response.status, body: text ? JSON.parse(text) : null };
  }, [`${MANAGEMENT}${path}`, method, token, body]);
}

test('auth0.Management links an account that its owner signs in to, and the browser stays signed in', async () => {
  const primary = await newUser({ user_metadata: { color: 'teal' } });
  const secondary = await newUser({ user_metadata: { color: 'red' } });
  const page = await visitor(browser);
  await authorize(page);
  await signIn(page, primary, home);
  const { result: mine } = await parseHash(page);

  // The same person, at their other account, in the same browser.
  const proof = { prompt: 'login', audience: undefined, scope: 'openid', responseType: 'id_token' };
  await authorize(page, proof);
  await typePassword(page, secondary);
  await agreeIfAsked(page, home);
  const { error, result: other } = await parseHash(page, proof);
  assert.equal(error, null);
  assert.equal((await verified(other.idToken, { audience: client.client_id })).claims.sub, secondary.user_id);

  const linked = await manage(page, mine.accessToken, 'linkUser', primary.user_id, other.idToken);
  assert.equal(linked.error, null);
  const ids = [primary, secondary].map((user) => user.user_id.split('|')[1]);
  assert.deepEqual(linked.body.map((identity) => identity.user_id), ids);
  assert.equal(linked.body[1].profileData.email, secondary.email);
  await assert.rejects(management.users.get(secondary.user_id), { statusCode: 404 });
  assert.deepEqual((await management.users.get(primary.user_id)).user_metadata, { color: 'teal' });

  const silent = await checkSession(page);
  assert.equal(silent.error, null);
  assert.equal((await verified(silent.result.accessToken)).claims.sub, primary.user_id);

  // Linking again, or somebody else's account by its id, is refused.
  const again = await manage(page, mine.accessToken, 'linkUser', primary.user_id, other.idToken);
  assert.deepEqual([again.error.status, again.error.message], [409, 'Specified identity already exists.']);
  const victim = await newUser();
  const named = { provider: 'auth0', user_id: victim.user_id.split('|')[1] };
  const taken = await call(page, mine.accessToken, 'POST', `users/${primary.user_id}/identities`, named);
  assert.deepEqual([taken.status, taken.body.errorCode], [403, 'insufficient_scope']);

  const unlinked = await call(page, mine.accessToken, 'DELETE', `users/${primary.user_id}/identities/auth0/${ids[1]}`);
  assert.deepEqual([unlinked.status, unlinked.body.map((identity) => identity.user_id)], [200, [ids[0]]]);
  const restored = await management.users.get(secondary.user_id);
  assert.deepEqual([restored.email, restored.user_metadata, restored.identities[0].connection], [secondary.email, undefined, CONNECTION]);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test('an app registers a device and removes it', async () => {
  const user = await newUser();
  const page = await visitor(browser);
  await authorize(page);
  await signIn(page, user, home);
  const { result } = await parseHash(page);
  const device = { device_name: 'This browser', device_id: '550e8400-e29b-41d4-a716-446655440000', type: 'public_key', value: 'ABCD' };
  const made = await call(page, result.accessToken, 'POST', 'device-credentials', device);
  assert.equal(made.status, 201);
  assert.match(made.body.id, /^dcr_[A-Za-z0-9]{16}$/);
  const twice = await call(page, result.accessToken, 'POST', 'device-credentials', device);
  assert.deepEqual([twice.status, twice.body.message], [409, 'A public key already exists for the device.']);
  const other = await newUser();
  const foreign = await call(page, result.accessToken, 'POST', 'device-credentials', { ...device, user_id: other.user_id });
  assert.deepEqual([foreign.status, foreign.body.message], [403, 'Cannot create device credentials for that user.']);

  const list = async () => (await management.deviceCredentials.list({ user_id: user.user_id, type: 'public_key' })).data;
  assert.deepEqual(await list(), [{
    id: made.body.id, device_name: device.device_name, device_id: device.device_id, type: 'public_key', user_id: user.user_id, client_id: client.client_id,
  }]);
  const gone = await call(page, result.accessToken, 'DELETE', `device-credentials/${made.body.id}`);
  assert.deepEqual(gone, { status: 204, body: null });
  assert.deepEqual(await list(), []);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});
