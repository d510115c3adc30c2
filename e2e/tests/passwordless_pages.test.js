// Signing in on hosted pages without a password, as a person does it.
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { overflows, violations } from '../lib/accessibility.js';
import { serveApp } from '../lib/app.js';
import { launch, visitor } from '../lib/browser.js';
import { letterTo } from '../lib/doorward.js';
import { doorward, management, newApp, word } from '../lib/setup.js';

const RESULTS = path.join(import.meta.dirname, '..', 'results');
const LOOKS = ['light', 'dark'].flatMap((colorScheme) => [1280, 390, 320].map((width) => ({ colorScheme, viewport: { width, height: 844 } })));

let app, browser, client, connection, home, phones;

before(async () => {
  app = await serveApp();
  home = `${app.origin}/callback.html`;
  client = await newApp(app.origin, ['/callback.html'], { name: 'Notes' });
  connection = await management.connections.create({ name: `email-${word()}`, strategy: 'email', enabled_clients: [client.client_id] });
  phones = await management.connections.create({ name: `sms-${word()}`, strategy: 'sms', enabled_clients: [client.client_id] });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await app?.close();
});

function authorize(name = connection.name) {
  const query = new URLSearchParams({
    client_id: client.client_id, response_type: 'id_token', redirect_uri: home, nonce: 'n', state: 's', scope: 'openid email', connection: name,
  });
  return `${doorward.issuer}authorize?${query}`;
}

async function codeFor(email) {
  return /\b\d{6}\b/.exec((await letterTo(doorward.tools, email, 'auth_email_by_code')).text)[0];
}

for (const javaScriptEnabled of [true, false]) {
  test(`a person types an address and a code, ${javaScriptEnabled ? 'with' : 'without'} JavaScript`, async () => {
    const email = `${word()}@example.com`;
    const page = await visitor(browser, { javaScriptEnabled });
    await page.goto(authorize());
    await page.locator('#address').fill(email);
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByRole('heading', { name: 'Check your email' }).waitFor();
    await page.locator('#code').fill(await codeFor(email));
    // A whole code is sent at once where a script can.
    if (!javaScriptEnabled) await page.getByRole('button', { name: 'Continue' }).click();
    await page.waitForURL((url) => url.href.startsWith(home));
    const token = new URLSearchParams(new URL(page.url()).hash.slice(1)).get('id_token');
    const claims = JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString());
    assert.deepEqual([claims.email, claims.email_verified], [email, true]);
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  });
}

/** Every page, by how one gets there. */
const PAGES = {
  passwordless: async (page) => {
    await page.goto(authorize());
  },
  'passwordless-wrong': async (page) => {
    await page.goto(authorize());
    await page.locator('#address').fill('nobody');
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByRole('alert').waitFor();
  },
  'passwordless-code': async (page) => {
    await page.goto(authorize());
    await page.locator('#address').fill(`${word()}@example.com`);
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.locator('#code').waitFor();
  },
  'passwordless-code-wrong': async (page) => {
    await PAGES['passwordless-code'](page);
    await page.locator('#code').fill('12345');
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByRole('alert').waitFor();
  },
  'passwordless-phone': async (page) => {
    await page.goto(authorize(phones.name));
    await page.locator('#address').waitFor();
  },
};

for (const [name, open] of Object.entries(PAGES)) {
  test(`the page ${name}: nothing for axe-core, no sideways scrolling, in both themes and three sizes`, async () => {
    for (const look of LOOKS) {
      const page = await visitor(browser, look);
      await open(page);
      const which = `${name}-${look.colorScheme}-${look.viewport.width}`;
      await page.screenshot({ path: path.join(RESULTS, `${which}.png`), fullPage: true, caret: 'initial' });
      assert.deepEqual(await violations(page), [], which);
      assert.equal(await overflows(page), false, which);
      assert.deepEqual(page.complaints, [], which);
      await page.context().close();
    }
  });
}
