// More clients, each with a real sign-in: express-openid-connect, oidc-client-ts, and auth0-spa-js with tokens that are bound to a key.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { after, before, test } from 'node:test';
import express from 'express';
import oidc from 'express-openid-connect';
import { serveApp } from '../lib/app.js';
import { launch, signIn, visitor } from '../lib/browser.js';
import { doorward, enable, management, newApi, newApp, newUser } from '../lib/setup.js';
import { verified } from '../lib/tokens.js';

let app, browser;

before(async () => {
  app = await serveApp();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await app?.close();
});

/** A web app of its own on another port of this host. */
async function webApp(options) {
  const server = createServer({ cert: readFileSync(doorward.certificate), key: readFileSync(doorward.key) });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const baseURL = `https://localhost:${server.address().port}`;
  const client = await management.clients.create({
    name: 'Web', app_type: 'regular_web', oidc_conformant: true, token_endpoint_auth_method: 'client_secret_post',
    grant_types: ['authorization_code', 'implicit', 'refresh_token'], jwt_configuration: { alg: 'RS256' },
    callbacks: [`${baseURL}/callback`], allowed_logout_urls: [baseURL],
  });
  await enable(client.client_id);
  const web = express();
  web.use(oidc.auth({
    issuerBaseURL: doorward.issuer, baseURL, clientID: client.client_id, secret: randomBytes(32).toString('hex'), ...options(client),
  }));
  web.get('/', (request, response) => response.send(`<!doctype html><title>Web</title><link rel="icon" href="data:,"><pre id="user">${JSON.stringify({
    user: request.oidc.user, token: request.oidc.accessToken?.access_token,
  })}</pre><a href="/logout">Sign out</a>`));
  server.on('request', web);
  return { baseURL, client, close: () => { server.closeAllConnections(); server.close(); } };
}

/** Signs in to a web app, out of it, and finds that the session is over. */
async function inAndOut(web, user) {
  const page = await visitor(browser);
  await page.goto(web.baseURL);
  await signIn(page, user, web.baseURL);
  const shown = JSON.parse(await page.locator('#user').innerText());
  assert.deepEqual([shown.user.sub, shown.user.email], [user.user_id, user.email]);
  await page.getByRole('link', { name: 'Sign out' }).click();
  await page.locator('#username').waitFor();
  assert.deepEqual(page.complaints, []);
  await page.context().close();
  return shown;
}

test('express-openid-connect as it comes: an ID token by form_post, and a logout', async () => {
  const user = await newUser();
  const web = await webApp(() => ({ authRequired: true, auth0Logout: true }));
  await inAndOut(web, user);
  web.close();
});

test('express-openid-connect with a code, an API and OpenID Connect’s logout', async () => {
  const user = await newUser();
  const api = await newApi();
  const web = await webApp((client) => ({
    authRequired: true, idpLogout: true, clientSecret: client.client_secret, clientAuthMethod: 'client_secret_post',
    authorizationParams: { response_type: 'code', audience: api.identifier, scope: 'openid profile email offline_access read:things' },
  }));
  const shown = await inAndOut(web, user);
  const { claims } = await verified(shown.token, { audience: api.identifier });
  assert.deepEqual([claims.sub, claims.scope], [user.user_id, 'openid profile email offline_access read:things']);
  web.close();
});

test('oidc-client-ts: code and PKCE, the user’s profile and a logout', async () => {
  const home = `${app.origin}/oidc.html`;
  const client = await newApp(app.origin, ['/oidc.html']);
  const user = await newUser();
  const page = await visitor(browser);
  const settings = { authority: doorward.issuer, client_id: client.client_id, redirect_uri: home, silent_redirect_uri: home, post_logout_redirect_uri: home, scope: 'openid profile email', loadUserInfo: true };
  const call = (method, ...args) => page.evaluate(async ([settings, method, args]) => {
    const result = await new window.oidc.UserManager(settings)[method](...args);
    return result && { profile: result.profile, token: result.access_token };
  }, [settings, method, args]);
  await page.goto(home);
  await page.evaluate((settings) => void setTimeout(() => new window.oidc.UserManager(settings).signinRedirect()), settings);
  await signIn(page, user, home);
  const signedIn = await call('signinCallback');
  assert.deepEqual([signedIn.profile.sub, signedIn.profile.email], [user.user_id, user.email]);
  await page.evaluate((settings) => void setTimeout(() => new window.oidc.UserManager(settings).signoutRedirect()), settings);
  await page.waitForURL(home);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test('auth0-spa-js with tokens that are bound to a key', async () => {
  const home = `${app.origin}/pkce.html`;
  const api = await newApi();
  const client = await newApp(app.origin, ['/pkce.html'], { refresh_token: { rotation_type: 'rotating', expiration_type: 'expiring' } });
  const user = await newUser();
  const page = await visitor(browser);
  const settings = {
    domain: doorward.domain, clientId: client.client_id, useDpop: true, useRefreshTokens: true, cacheLocation: 'localstorage',
    authorizationParams: { redirect_uri: home, audience: api.identifier, scope: 'openid profile email offline_access read:things' },
  };
  await page.goto(home);
  await page.evaluate((settings) => void setTimeout(async () => (await window.auth0.createAuth0Client(settings)).loginWithRedirect()), settings);
  await signIn(page, user, home);
  const got = await page.evaluate(async (settings) => {
    const auth0 = await window.auth0.createAuth0Client(settings);
    await auth0.handleRedirectCallback();
    const first = await auth0.getTokenSilently({ detailedResponse: true });
    const second = await auth0.getTokenSilently({ detailedResponse: true, cacheMode: 'off' });
    return { sub: (await auth0.getUser()).sub, first: first.access_token, second: second.access_token };
  }, settings);
  assert.equal(got.sub, user.user_id);
  const [first, second] = [(await verified(got.first, { audience: api.identifier })).claims, (await verified(got.second, { audience: api.identifier })).claims];
  assert.match(first.cnf.jkt, /^[\w-]{43}$/);
  assert.equal(first.cnf.jkt, second.cnf.jkt, 'the refresh token is bound to the same key');
  assert.notEqual(got.first, got.second);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});
