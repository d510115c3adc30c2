// The founding scenario with auth0-js: implicit flow, a Management API token for the user, and nothing beyond.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, test } from 'node:test';
import { serveApp } from '../lib/app.js';
import { agreeIfAsked, launch, signIn, typePassword, visitor } from '../lib/browser.js';
import { doorward, management, MANAGEMENT, newApp, newUser } from '../lib/setup.js';
import { verified } from '../lib/tokens.js';

const PAGE = '/implicit.html';
const SCOPE = 'openid profile email read:current_user update:current_user_metadata create:current_user_metadata';

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

/** Opens the app and starts the implicit flow from it. */
async function authorize(page, extra = {}) {
  await page.goto(home);
  await page.evaluate((options) => void setTimeout(() => new window.auth0.WebAuth(options).authorize()), settings(extra));
}

function settings(extra = {}) {
  return {
    domain: doorward.domain, clientID: client.client_id, redirectUri: home, audience: MANAGEMENT, scope: SCOPE,
    responseType: 'token id_token', ...extra,
  };
}

/** What auth0-js makes of the fragment: it checks state, nonce, issuer, audience, signature and at_hash. */
function parseHash(page) {
  return page.evaluate((options) => new Promise((resolve) => {
    new window.auth0.WebAuth(options).parseHash((error, result) => resolve({ error, result }));
  }), settings());
}

/** `checkSession`: a hidden frame with `prompt=none` and `web_message`. */
function checkSession(page, { timeout, ...extra } = {}) {
  return page.evaluate(([options, timeout]) => new Promise((resolve) => {
    new window.auth0.WebAuth(options).checkSession({ timeout }, (error, result) => resolve({ error, result }));
  }), [settings(extra), timeout]);
}

test('a person signs in, and the app gets a token for exactly what a user may do', async () => {
  const user = await newUser();
  const page = await visitor(browser);
  await authorize(page, { scope: `${SCOPE} read:users update:users delete:users create:clients` });
  await signIn(page, user, home);
  const { error, result } = await parseHash(page);
  assert.equal(error, null);

  const { claims, header } = await verified(result.accessToken);
  assert.deepEqual(claims.scope.split(' ').sort(), SCOPE.split(' ').sort());
  assert.deepEqual(result.scope.split(' ').sort(), SCOPE.split(' ').sort());
  assert.deepEqual(claims.aud, [MANAGEMENT, `${doorward.issuer}userinfo`]);
  assert.deepEqual([claims.sub, claims.azp, claims.exp - claims.iat], [user.user_id, client.client_id, 7200]);
  assert.deepEqual([header.alg, header.typ, typeof header.kid], ['RS256', 'JWT', 'string']);
  assert.deepEqual([claims.gty, claims.permissions], [undefined, undefined]);

  const id = (await verified(result.idToken, { audience: client.client_id })).claims;
  const half = createHash('sha256').update(result.accessToken).digest().subarray(0, 16).toString('base64url');
  assert.deepEqual([id.sub, id.aud, id.email, id.at_hash], [user.user_id, client.client_id, user.email, half]);
  assert.equal(typeof id.nonce, 'string');
  assert.equal(typeof id.sid, 'string');
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test('without openid the audience is one string', async () => {
  const user = await newUser();
  const page = await visitor(browser);
  await authorize(page, { scope: 'read:current_user', responseType: 'token' });
  await signIn(page, user, home);
  const fragment = new URLSearchParams(new URL(page.url()).hash.slice(1));
  const { claims } = await verified(fragment.get('access_token'));
  assert.deepEqual([claims.aud, claims.scope, claims.sub], [MANAGEMENT, 'read:current_user', user.user_id]);
  assert.deepEqual([fragment.get('token_type'), fragment.get('expires_in'), fragment.has('id_token')], ['Bearer', '7200', false]);
  await page.context().close();
});

test('auth0.Management reads the profile and edits the metadata', async () => {
  const user = await newUser({ user_metadata: { color: 'teal', size: 'm' } });
  const page = await visitor(browser);
  await authorize(page);
  await signIn(page, user, home);
  const { result } = await parseHash(page);
  const api = (method, ...args) => page.evaluate(([options, name, rest]) => new Promise((resolve) => {
    new window.auth0.Management(options)[name](...rest, (error, body) => {
      resolve({ error: error && { status: error.statusCode, ...error.original.response.body }, body });
    });
  }), [{ domain: doorward.domain, token: result.accessToken }, method, args]);

  const read = await api('getUser', user.user_id);
  assert.equal(read.error, null);
  assert.deepEqual([read.body.user_id, read.body.email, read.body.user_metadata], [user.user_id, user.email, { color: 'teal', size: 'm' }]);

  const patched = await api('patchUserMetadata', user.user_id, { color: 'red', size: null, theme: 'dark' });
  assert.equal(patched.error, null);
  assert.deepEqual(patched.body.user_metadata, { color: 'red', theme: 'dark' });
  const stored = await management.users.get(user.user_id);
  assert.deepEqual(stored.user_metadata, { color: 'red', theme: 'dark' });

  const attributes = await api('patchUserAttributes', user.user_id, { email_verified: true });
  assert.deepEqual([attributes.error.status, attributes.error.message], [403, 'You cannot update the following fields: email_verified']);
  const other = await newUser();
  const foreign = await api('getUser', other.user_id);
  assert.deepEqual([foreign.error.status, foreign.error.errorCode], [403, 'unowned_resource']);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test('consent is asked once, silent renewal works after it, and after logout it says login_required', async () => {
  const user = await newUser();
  const page = await visitor(browser);
  await authorize(page);
  await typePassword(page, user);
  await page.locator('button[value=accept]').waitFor();
  assert.match(new URL(page.url()).pathname, /^\/u\/consent/);
  await page.locator('button[value=accept]').click();
  await page.waitForURL((url) => url.href.startsWith(home));

  const silent = await checkSession(page);
  assert.equal(silent.error, null);
  assert.equal((await verified(silent.result.accessToken)).claims.sub, user.user_id);

  await authorize(page);
  await page.waitForURL((url) => url.hash.includes('access_token='));

  const [grant] = (await management.userGrants.list({ user_id: user.user_id })).data;
  assert.deepEqual([grant.clientID, grant.audience, [...grant.scope].sort()], [client.client_id, MANAGEMENT, SCOPE.split(' ').sort()]);
  await management.userGrants.delete(grant.id);
  assert.equal((await checkSession(page)).error.code, 'consent_required');

  await page.evaluate(([options, returnTo]) => void setTimeout(() => new window.auth0.WebAuth(options).logout({ returnTo })), [settings(), home]);
  await page.waitForURL(home);
  const refused = await checkSession(page);
  assert.deepEqual([refused.error.code, refused.error.description], ['login_required', 'Login required']);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test('who declines is sent back with access_denied, and nothing was granted', async () => {
  const user = await newUser();
  const page = await visitor(browser);
  await authorize(page);
  await typePassword(page, user);
  await page.locator('button[value=deny]').click();
  await page.waitForURL((url) => url.href.startsWith(home));
  const { error } = await parseHash(page);
  assert.equal(error.error, 'access_denied');
  assert.deepEqual((await management.userGrants.list({ user_id: user.user_id })).data, []);
  const silent = await checkSession(page);
  assert.equal(silent.error.code, 'consent_required');
  await page.context().close();
});

test('a frame on an origin that is no web origin of the client gets no answer', async () => {
  const user = await newUser();
  const closed = await newApp(app.origin, [PAGE], { web_origins: [] });
  const page = await visitor(browser);
  await authorize(page, { clientID: closed.client_id });
  await signIn(page, user, home);
  const silent = await checkSession(page, { clientID: closed.client_id, timeout: 3000 });
  assert.notEqual(silent.error, null);
  assert.equal(silent.result ?? undefined, undefined);
  await page.context().close();
});

test('a callback that is not registered is an error page, never a redirect', async () => {
  const page = await visitor(browser);
  const query = new URLSearchParams({
    client_id: client.client_id, response_type: 'token', redirect_uri: 'https://evil.example/', scope: 'openid', nonce: 'n', state: 's',
  });
  const answer = await page.goto(`${doorward.issuer}authorize?${query}`);
  assert.equal(answer.status(), 403);
  assert.equal(new URL(page.url()).host, doorward.domain);
  assert.match(await page.locator('body').innerText(), /The provided redirect_uri is not in the list of allowed callback URLs\./);
  await page.context().close();
});

test('a wrong password stays on the page, says so, and keeps the name', async () => {
  const user = await newUser();
  const page = await visitor(browser);
  await authorize(page);
  await typePassword(page, { email: user.email, password: 'Not-the-password-1!' });
  await page.getByRole('alert').waitFor();
  assert.equal(await page.locator('#username').inputValue(), user.email);
  assert.equal(await page.locator('#password').inputValue(), '');
  await typePassword(page, user);
  await agreeIfAsked(page, home);
  assert.equal((await parseHash(page)).error, null);
  await page.context().close();
});

test('popup.authorize with owp: the window answers the page that opened it', async () => {
  const user = await newUser();
  const page = await visitor(browser);
  await page.goto(home);
  const options = settings({ audience: undefined, scope: 'openid email' });
  const [popup] = await Promise.all([
    page.waitForEvent('popup'),
    page.evaluate((options) => {
      window.answer = new Promise((resolve) => {
        new window.auth0.WebAuth(options).popup.authorize({ owp: true }, (error, result) => resolve({ error, result }));
      });
    }, options),
  ]);
  await popup.locator('#username').waitFor();
  await typePassword(popup, user);
  const { error, result } = await page.evaluate(() => window.answer);
  assert.equal(error, null);
  const { claims } = await verified(result.idToken ?? result.id_token, { audience: client.client_id });
  assert.deepEqual([claims.sub, claims.email], [user.user_id, user.email]);
  // The next one needs nobody.
  const again = await page.evaluate((options) => new Promise((resolve) => {
    new window.auth0.WebAuth(options).popup.authorize({ owp: true, prompt: 'none' }, (error, result) => resolve({ error, result }));
  }), options);
  assert.equal(again.error, null);
  assert.equal(popup.isClosed(), true);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});
