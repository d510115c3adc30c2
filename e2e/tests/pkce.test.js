// The code flow with PKCE through @auth0/auth0-spa-js: sign-in, renewal both ways, rotation and reuse, logout, SSO.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { serveApp } from '../lib/app.js';
import { launch, signIn, visitor } from '../lib/browser.js';
import { doorward, management, MANAGEMENT, newApi, newApp, newUser } from '../lib/setup.js';
import { call, claims, tokenCall, userPath, verified } from '../lib/tokens.js';

const PAGE = '/pkce.html';
const SECOND = '/second.html';
const OWN = 'read:current_user update:current_user_metadata';

let api, app, browser, client, home;

before(async () => {
  app = await serveApp();
  home = `${app.origin}${PAGE}`;
  api = await newApi();
  client = await newApp(app.origin, [PAGE], {
    refresh_token: { rotation_type: 'rotating', expiration_type: 'expiring', leeway: 0, token_lifetime: 86400, infinite_token_lifetime: false, infinite_idle_token_lifetime: true },
  });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await app?.close();
});

function settings(authorizationParams, extra = {}) {
  return { domain: doorward.domain, clientId: client.client_id, authorizationParams: { redirect_uri: home, ...authorizationParams }, ...extra };
}

/** Makes the page's SDK client, as an app does at its start. */
async function open(page, options, url = home) {
  if (page.url() !== url) await page.goto(url);
  await page.evaluate((given) => {
    window.client = new window.auth0.Auth0Client(given);
  }, options);
}

/** Signs in through `loginWithRedirect` and `handleRedirectCallback`. */
async function login(page, user, options, url = home) {
  await open(page, options, url);
  await page.evaluate(() => void setTimeout(() => window.client.loginWithRedirect()));
  await signIn(page, user, url);
  await finish(page, options);
}

async function finish(page, options) {
  await page.evaluate(async (given) => {
    window.client = new window.auth0.Auth0Client(given);
    await window.client.handleRedirectCallback();
    window.history.replaceState({}, '', window.location.pathname);
  }, options);
}

/** `getTokenSilently`, with what it throws as a value. */
function silently(page, options = {}) {
  return page.evaluate(async (given) => {
    try {
      return await window.client.getTokenSilently({ ...given, detailedResponse: true });
    } catch (error) {
      return { error: error.error, error_description: error.error_description };
    }
  }, options);
}

test('a person signs in with PKCE and the token holds what a user may do and no more', async () => {
  const user = await newUser();
  const page = await visitor(browser);
  await login(page, user, settings({ audience: MANAGEMENT, scope: `openid profile email ${OWN} read:users delete:users offline_access` }));
  const got = await silently(page);
  const { claims: token } = await verified(got.access_token);
  assert.deepEqual(token.scope.split(' ').sort(), `openid profile email ${OWN}`.split(' ').sort());
  assert.deepEqual([token.aud, token.sub, token.azp], [[MANAGEMENT, `${doorward.issuer}userinfo`], user.user_id, client.client_id]);
  assert.equal(token.exp - token.iat, 86400);

  const person = await page.evaluate(() => window.client.getUser());
  assert.deepEqual([person.sub, person.email, person.email_verified], [user.user_id, user.email, true]);

  const own = await page.evaluate(async ([url, token]) => {
    const answer = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
    return { status: answer.status, body: await answer.json(), remaining: answer.headers.get('x-ratelimit-remaining') };
  }, [`${doorward.issuer}api/v2${userPath(user.user_id)}`, got.access_token]);
  assert.deepEqual([own.status, own.body.email], [200, user.email]);
  assert.notEqual(own.remaining, null);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test('the page renews its token in a hidden frame, and the granted scope is said', async () => {
  const user = await newUser();
  const page = await visitor(browser);
  const options = settings({ audience: MANAGEMENT, scope: `openid ${OWN}` });
  await login(page, user, options);
  // A reload empties the memory cache: only the session at the issuer is left.
  await page.goto(home);
  await open(page, options);
  const renewed = await silently(page, { authorizationParams: { audience: MANAGEMENT, scope: `openid ${OWN} read:users` } });
  assert.equal(claims(renewed.access_token).sub, user.user_id);
  assert.ok(!claims(renewed.access_token).scope.includes('read:users'));
  assert.equal(renewed.scope, claims(renewed.access_token).scope);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test('a refresh token rotates, and using the old one again ends the whole family', async () => {
  const user = await newUser();
  const page = await visitor(browser);
  const options = settings({ audience: api.identifier, scope: 'openid profile read:things offline_access' }, {
    useRefreshTokens: true, cacheLocation: 'localstorage', useRefreshTokensFallback: true,
  });
  await login(page, user, options);
  const stored = () => page.evaluate(() => Object.values(window.localStorage)
    .map((text) => JSON.parse(text)?.body?.refresh_token).find(Boolean));
  const first = await stored();
  assert.equal(typeof first, 'string');
  const renewed = await silently(page, { cacheMode: 'off' });
  assert.deepEqual(claims(renewed.access_token).aud, [api.identifier, `${doorward.issuer}userinfo`]);
  const second = await stored();
  assert.notEqual(second, first);

  const refresh = (token) => tokenCall({ grant_type: 'refresh_token', client_id: client.client_id, refresh_token: token });
  const gone = { status: 403, body: { error: 'invalid_grant', error_description: 'Unknown or invalid refresh token.' } };
  assert.deepEqual(await refresh(first), gone);
  assert.deepEqual(await refresh(second), gone);
  // The SDK knows that sentence and falls back to the session.
  const fallback = await silently(page, { cacheMode: 'off' });
  assert.equal(fallback.error, undefined);
  assert.equal(claims(fallback.access_token).sub, user.user_id);
  await page.context().close();
});

test('an authorization code is good once', async () => {
  const user = await newUser();
  const page = await visitor(browser);
  let form;
  page.on('request', (request) => {
    if (request.url() === `${doorward.issuer}oauth/token`) form = Object.fromEntries(new URLSearchParams(request.postData()));
  });
  await login(page, user, settings({ scope: 'openid' }));
  assert.equal(form.grant_type, 'authorization_code');
  assert.deepEqual(await tokenCall(form), { status: 403, body: { error: 'invalid_grant', error_description: 'Invalid authorization code' } });
  await page.context().close();
});

test('two apps share one session, and logging out of one ends it for both', async () => {
  const user = await newUser();
  const second = await newApp(app.origin, [SECOND]);
  const there = `${app.origin}${SECOND}`;
  const page = await visitor(browser);
  await login(page, user, settings({ scope: 'openid profile' }));
  const sid = await page.evaluate(async () => (await window.client.getIdTokenClaims()).sid);

  const options = { domain: doorward.domain, clientId: second.client_id, authorizationParams: { redirect_uri: there, scope: 'openid profile' } };
  await open(page, options, there);
  await page.evaluate(() => void setTimeout(() => window.client.loginWithRedirect()));
  await page.waitForURL((url) => url.href.startsWith(there) && url.searchParams.has('code'));
  await finish(page, options);
  const shared = await page.evaluate(() => window.client.getIdTokenClaims());
  assert.deepEqual([shared.sub, shared.sid], [user.user_id, sid]);

  const back = page.waitForEvent('load');
  await page.evaluate((returnTo) => void setTimeout(() => window.client.logout({ logoutParams: { returnTo } })), there);
  await back;
  assert.equal(page.url(), there);
  await open(page, settings({ scope: 'openid profile' }));
  assert.deepEqual(await silently(page, { cacheMode: 'off' }), { error: 'login_required', error_description: 'Login required' });
  await page.context().close();
});

test('prompt=login asks again although there is a session', async () => {
  const user = await newUser();
  const page = await visitor(browser);
  await login(page, user, settings({ scope: 'openid' }));
  await open(page, settings({ scope: 'openid' }));
  await page.evaluate(() => void setTimeout(() => window.client.loginWithRedirect({ authorizationParams: { prompt: 'login' } })));
  await page.locator('#password').waitFor();
  await signIn(page, user, home);
  await finish(page, settings({ scope: 'openid' }));
  assert.equal(typeof (await page.evaluate(() => window.client.getIdTokenClaims())).auth_time, 'number');
  await page.context().close();
});

test('logging out to a place that is not allowed is an error page', async () => {
  const page = await visitor(browser);
  const answer = await page.goto(`${doorward.issuer}v2/logout?client_id=${client.client_id}&returnTo=https%3A%2F%2Fevil.example%2F`);
  assert.equal(answer.status(), 400);
  assert.equal(new URL(page.url()).host, doorward.domain);
  await page.context().close();
});

test('a person signs up, comes back signed in, and can sign in again', async () => {
  const page = await visitor(browser);
  const email = `new-${Date.now()}@example.com`;
  const password = 'Correct-Horse-Battery-9!';
  await open(page, settings({ scope: 'openid profile email' }));
  await page.evaluate(() => void setTimeout(() => window.client.loginWithRedirect({ authorizationParams: { screen_hint: 'signup' } })));
  await page.waitForURL(/\/u\/signup/);
  await page.locator('#email').fill(email);
  await page.locator('#password').fill(password);
  await page.locator('button[type=submit][name=action]').first().click();
  await page.waitForURL((url) => url.href.startsWith(home));
  await finish(page, settings({ scope: 'openid profile email' }));
  const person = await page.evaluate(() => window.client.getUser());
  assert.deepEqual([person.email, person.email_verified], [email, false]);
  const [stored] = await management.users.listUsersByEmail({ email });
  assert.deepEqual([stored.user_id, stored.logins_count], [person.sub, 1]);

  const again = await visitor(browser);
  await login(again, { email, password }, settings({ scope: 'openid' }));
  assert.equal((await again.evaluate(() => window.client.getUser())).sub, person.sub);
  await page.context().close();
  await again.context().close();
});

test('a blocked user is refused on the next call, and a deleted one too', async () => {
  const user = await newUser();
  const page = await visitor(browser);
  await login(page, user, settings({ audience: MANAGEMENT, scope: `openid ${OWN}` }));
  const { access_token: token } = await silently(page);
  assert.equal((await call(token, 'GET', userPath(user.user_id))).status, 200);
  await management.users.update(user.user_id, { blocked: true });
  assert.equal((await call(token, 'GET', userPath(user.user_id))).status, 401);
  await management.users.update(user.user_id, { blocked: false });
  assert.equal((await call(token, 'GET', userPath(user.user_id))).status, 200);
  await management.users.delete(user.user_id);
  assert.equal((await call(token, 'GET', userPath(user.user_id))).status, 401);
  await page.context().close();
});
