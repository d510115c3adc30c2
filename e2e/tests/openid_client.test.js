// A web application with a server, through openid-client: a client that knows nothing of Auth0.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import * as oidc from 'openid-client';
import { serveApp } from '../lib/app.js';
import { launch, signIn, visitor } from '../lib/browser.js';
import { doorward, enable, management, newApi, newUser, word } from '../lib/setup.js';
import { verified } from '../lib/tokens.js';

let api, app, browser, client, config, home, user;

before(async () => {
  app = await serveApp();
  home = `${app.origin}/callback.html`;
  api = await newApi();
  client = await management.clients.create({
    name: `Web ${word()}`, app_type: 'regular_web', oidc_conformant: true, jwt_configuration: { alg: 'RS256' },
    token_endpoint_auth_method: 'client_secret_basic', grant_types: ['authorization_code', 'implicit', 'refresh_token', 'client_credentials'],
    callbacks: [home], allowed_logout_urls: [home],
  });
  await enable(client.client_id);
  await management.clientGrants.create({ client_id: client.client_id, audience: api.identifier, scope: ['read:things'] });
  config = await oidc.discovery(new URL(doorward.issuer), client.client_id, {}, oidc.ClientSecretBasic(client.client_secret));
  user = await newUser();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await app?.close();
});

/** A whole sign-in; `checks` is what the app remembers meanwhile. */
async function login(page, parameters = {}) {
  const verifier = oidc.randomPKCECodeVerifier();
  const checks = { pkceCodeVerifier: verifier, expectedState: oidc.randomState(), expectedNonce: oidc.randomNonce() };
  const url = oidc.buildAuthorizationUrl(config, {
    redirect_uri: home, scope: 'openid profile email offline_access', state: checks.expectedState, nonce: checks.expectedNonce,
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256', ...parameters,
  });
  await page.goto(url.href);
  if (page.url().startsWith(doorward.issuer)) await signIn(page, user, home);
  return { url: new URL(page.url()), checks };
}

test('discovery names this issuer and what it can do', () => {
  const metadata = config.serverMetadata();
  assert.equal(metadata.issuer, doorward.issuer);
  for (const name of ['authorization_endpoint', 'token_endpoint', 'userinfo_endpoint', 'jwks_uri', 'revocation_endpoint', 'end_session_endpoint']) {
    assert.ok(metadata[name]?.startsWith(doorward.issuer), name);
  }
  assert.ok(metadata.code_challenge_methods_supported.includes('S256'));
});

test('code with PKCE, userinfo, refresh, revocation', async () => {
  const page = await visitor(browser);
  const { url, checks } = await login(page);
  const tokens = await oidc.authorizationCodeGrant(config, url, checks);
  assert.equal(tokens.claims().sub, user.user_id);
  assert.equal(tokens.claims().email, user.email);
  const info = await oidc.fetchUserInfo(config, tokens.access_token, user.user_id);
  assert.deepEqual([info.sub, info.email, info.email_verified], [user.user_id, user.email, true]);

  const renewed = await oidc.refreshTokenGrant(config, tokens.refresh_token);
  assert.equal(renewed.claims().sub, user.user_id);
  assert.equal(renewed.claims().nonce, undefined);
  await oidc.tokenRevocation(config, tokens.refresh_token);
  await assert.rejects(oidc.refreshTokenGrant(config, tokens.refresh_token), (error) => error.error === 'invalid_grant');
  await page.context().close();
});

test('an API token through the code flow verifies as an API would check it', async () => {
  const page = await visitor(browser);
  const { url, checks } = await login(page, { audience: api.identifier, scope: 'openid read:things unknown:thing' });
  const tokens = await oidc.authorizationCodeGrant(config, url, checks);
  const { claims } = await verified(tokens.access_token, { audience: api.identifier });
  assert.equal(claims.scope, 'openid read:things');
  await page.context().close();
});

test('the wrong verifier gets nothing', async () => {
  const page = await visitor(browser);
  const { url, checks } = await login(page);
  await assert.rejects(
    oidc.authorizationCodeGrant(config, url, { ...checks, pkceCodeVerifier: oidc.randomPKCECodeVerifier() }),
    (error) => error.error === 'invalid_grant' && error.error_description === 'Failed to verify code verifier',
  );
  await page.context().close();
});

test('client_credentials for an API', async () => {
  const tokens = await oidc.clientCredentialsGrant(config, { audience: api.identifier });
  const { claims } = await verified(tokens.access_token, { audience: api.identifier });
  assert.deepEqual([claims.sub, claims.gty, claims.scope], [`${client.client_id}@clients`, 'client-credentials', 'read:things']);
});

test('form_post brings an ID token to the app', async () => {
  const page = await visitor(browser);
  const posted = page.waitForRequest((request) => request.url() === home && request.method() === 'POST');
  const query = new URLSearchParams({
    client_id: client.client_id, response_type: 'id_token', response_mode: 'form_post', redirect_uri: home, scope: 'openid', nonce: 'n-2', state: 's-"><2',
  });
  await page.goto(`${doorward.issuer}authorize?${query}`);
  await signIn(page, user, home);
  const form = new URLSearchParams((await posted).postData());
  assert.equal(form.get('state'), 's-"><2');
  const { claims } = await verified(form.get('id_token'), { audience: client.client_id });
  assert.deepEqual([claims.sub, claims.nonce], [user.user_id, 'n-2']);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test('OpenID Connect logout ends the session and comes back with its state', async () => {
  const page = await visitor(browser);
  const { url, checks } = await login(page);
  const tokens = await oidc.authorizationCodeGrant(config, url, checks);
  const out = oidc.buildEndSessionUrl(config, { id_token_hint: tokens.id_token, post_logout_redirect_uri: home, state: 'bye' });
  await page.goto(out.href);
  await page.waitForURL((at) => at.href.startsWith(home));
  assert.equal(new URL(page.url()).searchParams.get('state'), 'bye');
  await page.goto(oidc.buildAuthorizationUrl(config, { redirect_uri: home, scope: 'openid', prompt: 'none', state: 'x', response_type: 'code' }).href);
  assert.equal(new URL(page.url()).searchParams.get('error'), 'login_required');
  await page.context().close();
});
