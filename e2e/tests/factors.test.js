// Second factors as people meet them: an authenticator app set up and used, the recovery code, and every page of it.
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { overflows, violations } from '../lib/accessibility.js';
import { serveApp } from '../lib/app.js';
import { codeOf } from '../lib/authenticator.js';
import { launch, typePassword, visitor } from '../lib/browser.js';
import { doorward, newApp, newUser } from '../lib/setup.js';

const RESULTS = path.join(import.meta.dirname, '..', 'results');
const LOOKS = ['light', 'dark'].flatMap((colorScheme) => [1280, 390, 320].map((width) => ({ colorScheme, viewport: { width, height: 844 } })));
const MULTI_FACTOR = 'http://schemas.openid.net/pape/policies/2007/06/multi-factor';

let app, browser, client, home;

before(async () => {
  app = await serveApp();
  home = `${app.origin}/callback.html`;
  client = await newApp(app.origin, ['/callback.html'], { name: 'Notes' });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await app?.close();
});

function authorize(extra = {}) {
  const query = new URLSearchParams({
    client_id: client.client_id, response_type: 'id_token', redirect_uri: home, nonce: 'n', state: 's',
    scope: 'openid', acr_values: MULTI_FACTOR, ...extra,
  });
  return `${doorward.issuer}authorize?${query}`;
}

/** Signs in with a password and stops at the page that asks for more. */
async function begin(page, user, extra) {
  await page.goto(authorize(extra));
  await typePassword(page, user);
  await page.locator('#code').waitFor();
}

/** Sets up an app, stores the recovery code, and answers both once the app's callback is reached. */
async function enrol(page, user) {
  await begin(page, user);
  const secret = await page.locator('.secret code').textContent();
  await page.locator('#code').fill(codeOf(secret));
  await page.locator('input[name=saved]').waitFor();
  const recovery = (await page.locator('#recovery-code').textContent()).replace(/\s/g, '');
  await page.locator('input[name=saved]').check();
  await page.locator('button[value=default]').click();
  await page.waitForURL((url) => url.href.startsWith(home));
  return { secret, recovery };
}

function claims(page) {
  const token = new URLSearchParams(new URL(page.url()).hash.slice(1)).get('id_token');
  return JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString());
}

test('a person sets up an app, signs in with its code, and with the recovery code on the day it is lost', async () => {
  const user = await newUser();
  const first = await visitor(browser);
  const { secret, recovery } = await enrol(first, user);
  assert.deepEqual([claims(first).amr, claims(first).acr], [['mfa'], MULTI_FACTOR]);
  assert.deepEqual(first.complaints, []);

  // Elsewhere, with the code of the next half minute: this one's was used.
  const second = await visitor(browser);
  await begin(second, user);
  await second.locator('#code').fill(codeOf(secret, 1));
  await second.waitForURL((url) => url.href.startsWith(home));
  assert.deepEqual(claims(second).amr, ['mfa']);

  const third = await visitor(browser);
  await begin(third, user);
  await third.getByText('Try another way').click();
  await third.getByText('Recovery code').click();
  await third.locator('#code').fill(recovery.toLowerCase());
  await third.locator('button[value=default]').click();
  await third.locator('input[name=saved]').waitFor();
  const next = (await third.locator('#recovery-code').textContent()).replace(/\s/g, '');
  assert.match(next, /^[A-Z0-9]{24}$/);
  assert.notEqual(next, recovery);
  for (const page of [first, second, third]) await page.context().close();
});

test('all of it works with JavaScript turned off', async () => {
  const user = await newUser();
  const page = await visitor(browser, { javaScriptEnabled: false });
  await begin(page, user);
  await page.locator('.secret summary').click();
  const secret = await page.locator('.secret code').textContent();
  await page.locator('#code').fill('000000');
  await page.locator('button[value=default]').click();
  await page.getByRole('alert').waitFor();
  await page.locator('#code').fill(codeOf(secret));
  await page.locator('button[value=default]').click();
  await page.locator('input[name=saved]').check();
  await page.locator('button[value=default]').click();
  await page.waitForURL((url) => url.href.startsWith(home));
  assert.deepEqual(claims(page).amr, ['mfa']);
  await page.context().close();
});

/** The pages of whoever has an app and a recovery code, by how one gets there. */
const PAGES = {
  'mfa-otp-challenge': async () => {},
  'mfa-otp-challenge-wrong': async (page) => {
    await page.locator('#code').fill('000000');
    await page.getByRole('alert').waitFor();
  },
  'mfa-login-options': async (page) => {
    await page.getByText('Try another way').click();
    await page.getByText('Recovery code').waitFor();
  },
  'mfa-recovery-code-challenge': async (page) => {
    await page.getByText('Try another way').click();
    await page.getByText('Recovery code').click();
    await page.locator('#code').waitFor();
  },
};

async function examine(page, name, look) {
  const which = `${name}-${look.colorScheme}-${look.viewport.width}`;
  await page.screenshot({ path: path.join(RESULTS, `${which}.png`), fullPage: true, caret: 'initial' });
  assert.deepEqual(await violations(page), [], which);
  assert.equal(await overflows(page), false, which);
  assert.deepEqual(page.complaints, [], which);
}

test('the pages that set one up: nothing for axe-core, no sideways scrolling, in both themes and three sizes', async () => {
  for (const look of LOOKS) {
    const page = await visitor(browser, look);
    await begin(page, await newUser());
    await examine(page, 'mfa-otp-enrollment', look);
    await page.locator('#code').fill(codeOf(await page.locator('.secret code').textContent()));
    await page.locator('input[name=saved]').waitFor();
    await examine(page, 'mfa-recovery-code-enrollment', look);
    await page.context().close();
  }
});

for (const [name, open] of Object.entries(PAGES)) {
  test(`the page ${name}: nothing for axe-core, no sideways scrolling, in both themes and three sizes`, async () => {
    const user = await newUser();
    const first = await visitor(browser);
    await enrol(first, user);
    await first.context().close();
    for (const look of LOOKS) {
      const page = await visitor(browser, look);
      await begin(page, user);
      await open(page);
      await examine(page, name, look);
      await page.context().close();
    }
  });
}
