// CIBA with the Node SDK: an app asks, a person answers on the page that the account page leads to, and the app gets its tokens.
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { AuthenticationClient } from 'auth0';
import { overflows, violations } from '../lib/accessibility.js';
import { serveApp } from '../lib/app.js';
import { launch, signIn, visitor } from '../lib/browser.js';
import { doorward, management, newApp, newUser, word } from '../lib/setup.js';
import { verified } from '../lib/tokens.js';

const RESULTS = path.join(import.meta.dirname, '..', 'results');
const LOOKS = ['light', 'dark'].flatMap((colorScheme) => [1280, 390, 320].map((width) => ({ colorScheme, viewport: { width, height: 844 } })));

let app, browser, home, spa, till;

before(async () => {
  app = await serveApp();
  home = `${app.origin}/callback.html`;
  spa = await newApp(app.origin, ['/callback.html']);
  till = await management.clients.create({
    name: 'Till', app_type: 'regular_web', oidc_conformant: true, grant_types: ['urn:openid:params:grant-type:ciba', 'refresh_token'],
    token_endpoint_auth_method: 'client_secret_post', jwt_configuration: { alg: 'RS256' },
  });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await app?.close();
});

function sdk() {
  return new AuthenticationClient({ domain: doorward.domain, clientId: till.client_id, clientSecret: till.client_secret });
}

/** A page on which somebody is signed in. */
async function signedIn(user, look) {
  const page = await visitor(browser, look);
  const query = new URLSearchParams({ client_id: spa.client_id, response_type: 'id_token', redirect_uri: home, nonce: 'n', state: 's', scope: 'openid' });
  await page.goto(`${doorward.issuer}authorize?${query}`);
  await signIn(page, user, home);
  return page;
}

for (const javaScriptEnabled of [true, false]) {
  test(`a person lets an app in, ${javaScriptEnabled ? 'with' : 'without'} JavaScript`, async () => {
    const user = await newUser();
    const asked = await sdk().backchannel.authorize({ userId: user.user_id, binding_message: 'Order 4711', scope: 'openid email' });
    assert.deepEqual([asked.expires_in, asked.interval], [300, 5]);
    await assert.rejects(sdk().backchannel.backchannelGrant({ auth_req_id: asked.auth_req_id }), (error) => error.error === 'authorization_pending');
    const page = await signedIn(user, { javaScriptEnabled });
    await page.goto(`${doorward.issuer}u/authorization-requests`);
    assert.match(await page.locator('main').innerText(), /Till[\s\S]*Order 4711/);
    await page.getByRole('button', { name: 'Allow' }).click();
    await page.getByText('The app may go on.').waitFor();
    await new Promise((resolve) => setTimeout(resolve, 5100));
    const tokens = await sdk().backchannel.backchannelGrant({ auth_req_id: asked.auth_req_id });
    const { claims } = await verified(tokens.id_token, { audience: till.client_id });
    assert.deepEqual([claims.sub, claims.email], [user.user_id, user.email]);
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  });
}

test('the account page leads there', async () => {
  const page = await visitor(browser);
  const [ada] = doorward.users;
  await page.goto(`${doorward.issuer}account/`);
  await page.getByRole('button').first().click();
  await signIn(page, ada, `${doorward.issuer}account/`);
  await page.getByRole('link', { name: 'Look at requests' }).click();
  await page.getByRole('heading', { name: 'Requests of apps' }).waitFor();
  assert.match(await page.locator('main').innerText(), new RegExp(`Signed in as ${ada.email}`));
  await page.context().close();
});

test('the page app-requests: nothing for axe-core, no sideways scrolling, in both themes and three sizes', async () => {
  const user = await newUser();
  for (const message of ['Order 4711', `Call ${word()}`]) {
    await sdk().backchannel.authorize({ userId: user.user_id, binding_message: message, scope: 'openid email' });
  }
  for (const look of LOOKS) {
    const page = await signedIn(user, look);
    await page.goto(`${doorward.issuer}u/authorization-requests`);
    const which = `app-requests-${look.colorScheme}-${look.viewport.width}`;
    await page.screenshot({ path: path.join(RESULTS, `${which}.png`), fullPage: true, caret: 'initial' });
    assert.deepEqual(await violations(page), [], which);
    assert.equal(await overflows(page), false, which);
    assert.deepEqual(page.complaints, [], which);
    await page.context().close();
  }
});
