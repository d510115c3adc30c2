// Sign-in pages of an app's own: auth0-js with a password, a code and a new account, and Lock in its place.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { serveApp } from '../lib/app.js';
import { launch, visitor } from '../lib/browser.js';
import { letterTo } from '../lib/doorward.js';
import { lockScript } from '../lib/lock.js';
import { CONNECTION, doorward, management, newApp, newUser, word } from '../lib/setup.js';
import { verified } from '../lib/tokens.js';

const PAGES = ['/implicit.html', '/lock.html'];
const REALM = 'http://auth0.com/oauth/grant-type/password-realm';

let app, browser, client, connection, home, widget;

before(async () => {
  app = await serveApp({ '/lock.js': await lockScript() });
  [home, widget] = PAGES.map((page) => `${app.origin}${page}`);
  client = await newApp(app.origin, PAGES, {
    name: 'Shop', cross_origin_authentication: true, grant_types: ['authorization_code', 'implicit', REALM],
  });
  connection = await management.connections.create({ name: `email-${word()}`, strategy: 'email', enabled_clients: [client.client_id] });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await app?.close();
});

function settings(extra = {}) {
  return { domain: doorward.domain, clientID: client.client_id, redirectUri: home, responseType: 'token id_token', scope: 'openid profile email', ...extra };
}

/** A page of the app with nobody signed in. */
async function opened(url = home) {
  const page = await visitor(browser);
  await page.goto(url);
  return page;
}

/** Calls a method of `WebAuth`; what its callback gets. */
function call(page, method, options) {
  return page.evaluate(([settings, method, options]) => new Promise((resolve) => {
    const web = new window.auth0.WebAuth(settings);
    const [name, owner] = method.split('.').reverse();
    (owner ? web[owner] : web)[name](options, (error, result) => resolve({ error, result }));
  }), [settings(), method, options]);
}

/** Calls a method that ends in a redirect, and answers what `parseHash` makes of it. */
async function landed(page, method, options) {
  await page.evaluate(([settings, method, options]) => void setTimeout(() => {
    new window.auth0.WebAuth(settings)[method](options, (error) => { window.refused = error; });
  }), [settings(), method, options]);
  await page.waitForURL((url) => url.hash.includes('id_token='));
  return call(page, 'parseHash', {});
}

test('login: a password that is typed on the app’s own page', async () => {
  const user = await newUser();
  const page = await opened();
  const wrong = await call(page, 'login', { realm: CONNECTION, username: user.email, password: 'Wrong-Horse-1!' });
  assert.deepEqual([wrong.error.code, wrong.error.description], ['access_denied', 'Wrong email or password.']);
  const { error, result } = await landed(page, 'login', { realm: CONNECTION, username: user.email, password: user.password });
  assert.equal(error, null);
  const { claims } = await verified(result.idToken, { audience: client.client_id });
  assert.deepEqual([claims.sub, claims.email], [user.user_id, user.email]);
  // The session is one like any other.
  const silent = await call(page, 'checkSession', {});
  assert.equal(silent.error, null);
  assert.equal(silent.result.idTokenPayload.sub, user.user_id);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test('popup.loginWithCredentials: the ticket is used in a hidden frame', async () => {
  const user = await newUser();
  const page = await opened();
  const { error, result } = await call(page, 'popup.loginWithCredentials', { connection: CONNECTION, username: user.email, password: user.password });
  assert.equal(error, null);
  assert.equal((await verified(result.idToken, { audience: client.client_id })).claims.sub, user.user_id);
  assert.equal(page.url(), home);
  await page.context().close();
});

test('signup, signupAndAuthorize and changePassword', async () => {
  const page = await opened();
  const account = () => ({ connection: CONNECTION, email: `${word()}@example.com`, password: `Correct-Horse-${word()}!` });
  const first = account();
  const signed = await call(page, 'signup', first);
  assert.deepEqual([signed.error, signed.result.email], [null, first.email]);
  assert.equal((await call(page, 'signup', first)).error.code, 'invalid_signup');
  const second = account();
  const { error, result } = await call(page, 'signupAndAuthorize', second);
  assert.equal(error, null);
  assert.equal((await verified(result.idToken, { audience: client.client_id })).claims.email, second.email);
  const changed = await call(page, 'changePassword', { connection: CONNECTION, email: first.email });
  assert.deepEqual(changed, { error: null, result: 'We\'ve just sent you an email to reset your password.' });
  assert.ok(await letterTo(doorward.tools, first.email, 'reset_email'));
  await page.context().close();
});

test('passwordlessStart and passwordlessLogin: a code that was mailed', async () => {
  const email = `${word()}@example.com`;
  const page = await opened();
  const started = await call(page, 'passwordlessStart', { connection: connection.name, send: 'code', email });
  assert.equal(started.error, null);
  const code = /\b\d{6}\b/.exec((await letterTo(doorward.tools, email, 'auth_email_by_code')).text)[0];
  const wrong = await call(page, 'passwordlessLogin', { connection: connection.name, email, verificationCode: code === '000000' ? '000001' : '000000' });
  assert.equal(wrong.error.description, 'Wrong email or verification code.');
  const { error, result } = await landed(page, 'passwordlessLogin', { connection: connection.name, email, verificationCode: code });
  assert.equal(error, null);
  assert.equal(result.idTokenPayload.email, email);
  await page.context().close();
});

test('a browser without the ticket’s cookie asks the app’s page for the verifier', async () => {
  const user = await newUser();
  const page = await opened();
  // As browsers do that keep the cookies of framed and called sites apart.
  await page.route('**/co/authenticate', async (route) => {
    const response = await route.fetch();
    const headers = Object.fromEntries(Object.entries(response.headers()).filter(([name]) => name !== 'set-cookie'));
    await route.fulfill({ response, headers });
  });
  await page.context().clearCookies();
  await management.clients.update(client.client_id, { cross_origin_loc: `${app.origin}/verifier.html` });
  const { error, result } = await landed(page, 'login', { realm: CONNECTION, username: user.email, password: user.password });
  assert.equal(error, null);
  assert.equal(result.idTokenPayload.sub, user.user_id);
  assert.deepEqual(page.complaints, []);
  // Somebody who is lured there with a stranger's ticket is asked to sign in.
  const stranger = await newUser();
  const given = await fetch(`${doorward.issuer}co/authenticate`, {
    method: 'POST', headers: { 'content-type': 'application/json', origin: app.origin },
    body: JSON.stringify({ client_id: client.client_id, credential_type: REALM, realm: CONNECTION, username: stranger.email, password: stranger.password }),
  });
  const victim = await visitor(browser);
  const query = new URLSearchParams({
    client_id: client.client_id, response_type: 'id_token', redirect_uri: home, nonce: 'n', state: 's', scope: 'openid',
    login_ticket: (await given.json()).login_ticket,
  });
  await victim.goto(`${doorward.issuer}authorize?${query}`);
  await victim.locator('#password').waitFor();
  assert.deepEqual(victim.complaints, []);
  await victim.context().close();
  await page.context().close();
});

/** Opens Lock, and resolves with what it is told when somebody has signed in. */
async function openLock(page, kind, options = {}) {
  await page.evaluate(([kind, id, domain, options]) => {
    const lock = new window[kind](id, domain, options);
    lock.on('authenticated', (result) => { window.signedIn = result; });
    lock.on('authorization_error', (error) => { window.refused = error; });
    lock.show();
  }, [kind, client.client_id, doorward.domain, {
    // English is built in; Lock asks for its texts all the same.
    configurationBaseUrl: doorward.issuer.replace(/\/$/, ''), languageBaseUrl: app.origin, useCustomPasswordlessConnection: true, allowedConnections: [kind === 'Auth0Lock' ? CONNECTION : connection.name],
    avatar: null, closable: false, theme: { logo: 'data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=' },
    auth: { redirectUrl: widget, responseType: 'token id_token', params: { scope: 'openid profile email' } }, ...options,
  }]);
}

/** Who Lock says has signed in, on the page that it came back to. */
async function whoCameBack(page, kind) {
  await page.waitForURL((url) => url.hash.includes('id_token='));
  await openLock(page, kind);
  await page.waitForFunction(() => window.signedIn ?? window.refused);
  return page.evaluate(() => window.signedIn?.idTokenPayload ?? window.refused);
}

test('Lock signs in, says what is wrong, and signs up', async () => {
  const user = await newUser();
  const page = await opened(widget);
  await openLock(page, 'Auth0Lock');
  await page.locator('input[name=email]').fill(user.email);
  await page.locator('input[name=password]').fill('Wrong-Horse-1!');
  await page.locator('button[name=submit]').click();
  await page.getByText('Wrong email or password.').waitFor();
  await page.locator('input[name=password]').fill(user.password);
  await page.locator('button[name=submit]').click();
  assert.equal((await whoCameBack(page, 'Auth0Lock')).sub, user.user_id);
  assert.deepEqual(page.complaints, []);
  await page.context().close();

  const email = `${word()}@example.com`;
  const other = await opened(widget);
  await openLock(other, 'Auth0Lock', { initialScreen: 'signUp' });
  await other.locator('input[name=email]').fill(email);
  await other.locator('input[name=password]').fill(`Correct-Horse-${word()}!`);
  await other.locator('button[name=submit]').click();
  assert.equal((await whoCameBack(other, 'Auth0Lock')).email, email);
  await other.context().close();
});

test('Lock without passwords: a code by e-mail', async () => {
  const email = `${word()}@example.com`;
  const page = await opened(widget);
  await openLock(page, 'Auth0LockPasswordless', { passwordlessMethod: 'code' });
  await page.locator('input[name=email]').fill(email);
  await page.locator('button[name=submit]').click();
  const code = /\b\d{6}\b/.exec((await letterTo(doorward.tools, email, 'auth_email_by_code')).text)[0];
  await page.locator('input[name=vcode]').fill(code);
  await page.locator('button[name=submit]').click();
  assert.equal((await whoCameBack(page, 'Auth0LockPasswordless')).email, email);
  await page.context().close();
});
