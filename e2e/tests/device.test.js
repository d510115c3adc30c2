// A device without a browser, as its user meets it: the code typed, the question answered, and every page of it.
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { overflows, violations } from '../lib/accessibility.js';
import { launch, typePassword, visitor } from '../lib/browser.js';
import { doorward, newApp, newUser } from '../lib/setup.js';

const RESULTS = path.join(import.meta.dirname, '..', 'results');
const LOOKS = ['light', 'dark'].flatMap((colorScheme) => [1280, 390, 320].map((width) => ({ colorScheme, viewport: { width, height: 844 } })));
const GRANT = 'urn:ietf:params:oauth:grant-type:device_code';

let browser, client;

before(async () => {
  client = await newApp('https://tv.example.com', ['/'], { name: 'Acme TV', app_type: 'native', grant_types: [GRANT, 'refresh_token'] });
  browser = await launch();
});
after(async () => {
  await browser?.close();
});

async function post(where, fields) {
  const answer = await fetch(`${doorward.issuer}${where}`, { method: 'POST', body: new URLSearchParams({ client_id: client.client_id, ...fields }) });
  return { status: answer.status, body: await answer.json() };
}

/** A device that begins to wait. */
async function wait() {
  const { status, body } = await post('oauth/device/code', { scope: 'openid email offline_access' });
  assert.equal(status, 200);
  return body;
}

function poll(device) {
  return post('oauth/token', { grant_type: GRANT, device_code: device.device_code });
}

/** Stops at the page that asks whether the device is this person's. */
async function asked(page, device) {
  await page.goto(device.verification_uri);
  await page.locator('#code').fill(device.user_code.toLowerCase());
  await page.locator('button[value=default]').click();
  await page.locator('button[value=accept]').waitFor();
}

for (const javaScriptEnabled of [true, false]) {
  test(`a person lets a device in${javaScriptEnabled ? '' : ' with JavaScript turned off'}`, async () => {
    const [user, device] = [await newUser(), await wait()];
    assert.equal((await poll(device)).body.error, 'authorization_pending');
    const page = await visitor(browser, { javaScriptEnabled });
    // The link fills the code in, and nothing more.
    await page.goto(device.verification_uri_complete);
    assert.equal(await page.locator('#code').inputValue(), device.user_code);
    await page.locator('button[value=default]').click();
    await page.getByText('Acme TV').waitFor();
    await page.getByText(device.user_code).waitFor();
    await page.locator('button[value=accept]').click();
    await typePassword(page, user);
    await page.getByText('Your device is connected').waitFor();
    await new Promise((resolve) => setTimeout(resolve, 5_100));
    const { status, body } = await poll(device);
    assert.equal(status, 200);
    assert.equal(JSON.parse(Buffer.from(body.id_token.split('.')[1], 'base64url').toString()).email, user.email);
    assert.ok(body.refresh_token);
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  });
}

test('a person who was sent the code says no', async () => {
  const device = await wait();
  const page = await visitor(browser);
  await asked(page, device);
  await page.locator('button[value=deny]').click();
  await page.getByText('The device is not connected').waitFor();
  assert.equal((await poll(device)).body.error, 'access_denied');
  await page.context().close();
});

/** The pages, by how one gets there. */
const PAGES = {
  'device-code': async (page, device) => {
    await page.goto(device.verification_uri);
    await page.locator('#code').waitFor();
  },
  'device-code-wrong': async (page, device) => {
    await page.goto(device.verification_uri);
    await page.locator('#code').fill('BBBB-BBBB');
    await page.locator('button[value=default]').click();
    await page.getByRole('alert').waitFor();
  },
  'device-confirmation': asked,
  'device-connected': async (page, device) => {
    await asked(page, device);
    await page.locator('button[value=accept]').click();
    await typePassword(page, await newUser());
    await page.getByText('Your device is connected').waitFor();
  },
};

for (const [name, open] of Object.entries(PAGES)) {
  test(`the page ${name}: nothing for axe-core, no sideways scrolling, in both themes and three sizes`, async () => {
    for (const look of LOOKS) {
      const page = await visitor(browser, look);
      await open(page, await wait());
      const which = `${name}-${look.colorScheme}-${look.viewport.width}`;
      await page.screenshot({ path: path.join(RESULTS, `${which}.png`), fullPage: true, caret: 'initial' });
      assert.deepEqual(await violations(page), [], which);
      assert.equal(await overflows(page), false, which);
      assert.deepEqual(page.complaints, [], which);
      await page.context().close();
    }
  });
}
