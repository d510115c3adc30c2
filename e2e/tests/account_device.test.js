// This browser as a device of the person: its key, and the credential that the account page remembers.
import assert from 'node:assert/strict';
import { createPublicKey } from 'node:crypto';
import { after, before, test } from 'node:test';
import { violations } from '../lib/accessibility.js';
import { enter, focused, loaded, said } from '../lib/account.js';
import { launch, visitor } from '../lib/browser.js';
import { management, newUser } from '../lib/setup.js';

let browser;

before(async () => {
  browser = await launch();
});
after(() => browser?.close());

/** What an administrator sees of a user's public keys. */
async function registered(user) {
  return (await management.deviceCredentials.list({ user_id: user.user_id, type: 'public_key' })).data;
}

/** What the browser keeps, with the answer to whether its private key can be taken out. */
function kept(page) {
  return page.evaluate(async () => {
    const database = await new Promise((resolve) => {
      const request = indexedDB.open('doorward-account');
      request.onsuccess = () => resolve(request.result);
    });
    const request = database.transaction('devices').objectStore('devices').getAll();
    await new Promise((resolve) => {
      request.onsuccess = resolve;
    });
    database.close();
    return Promise.all(request.result.map(async ({ keys, ...rest }) => ({
      ...rest,
      private: await crypto.subtle.exportKey('pkcs8', keys.privateKey).then(() => 'readable', () => 'sealed'),
    })));
  });
}

test('a browser is registered, remembered over a reload, and removed', async () => {
  const user = await newUser();
  const page = await visitor(browser);
  await enter(page, user);
  const sent = page.waitForRequest((request) => request.method() === 'POST' && request.url().endsWith('/device-credentials'));
  await page.getByLabel('Name of this device').fill('Kitchen laptop');
  await page.getByRole('button', { name: 'Register this device' }).click();
  const body = (await sent).postDataJSON();
  assert.equal(createPublicKey({ key: Buffer.from(body.value, 'base64'), format: 'der', type: 'spki' }).asymmetricKeyDetails.namedCurve, 'prime256v1');
  await said(page, 'This device is registered.');
  assert.equal(await focused(page), 'This device');
  const [credential, ...others] = await registered(user);
  assert.deepEqual(others, []);
  assert.deepEqual([credential.device_name, credential.device_id, credential.type], ['Kitchen laptop', body.device_id, 'public_key']);
  const [device] = await kept(page);
  assert.deepEqual([device.credential_id, device.user_id, device.private], [credential.id, user.user_id, 'sealed']);

  await page.reload();
  await loaded(page);
  const card = await page.locator('#device').innerText();
  for (const text of ['Kitchen laptop', credential.id, 'Only an administrator can list']) assert.ok(card.includes(text), text);
  assert.deepEqual(await violations(page), []);

  await page.getByRole('button', { name: 'Remove this device' }).click();
  await page.keyboard.press('Escape');
  assert.equal(await focused(page), 'Remove this device');
  await page.keyboard.press('Enter');
  await page.getByRole('group', { name: 'Remove Kitchen laptop?' }).waitFor();
  assert.deepEqual(await violations(page), []);
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await said(page, 'This device is removed.');
  assert.deepEqual([await registered(user), await kept(page)], [[], []]);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test('a device has a name, and another person in the same browser has their own', async () => {
  const [ada, grace] = [await newUser(), await newUser()];
  const page = await visitor(browser);
  await enter(page, ada);
  await page.getByLabel('Name of this device').fill('  ');
  await page.keyboard.press('Enter');
  await page.getByText('Give this device a name.').waitFor();
  assert.equal(await page.locator('#device-name').getAttribute('aria-invalid'), 'true');
  assert.deepEqual(await violations(page), []);
  await page.getByLabel('Name of this device').fill('Ours');
  await page.keyboard.press('Enter');
  await said(page, 'This device is registered.');
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('button', { name: 'Sign in' }).waitFor();
  await enter(page, grace);
  await page.getByText('This browser is not registered.').waitFor();
  assert.deepEqual([(await registered(ada)).length, (await registered(grace)).length], [1, 0]);
  await page.context().close();
});

test('what the browser cannot remember is not left at the server', async () => {
  const user = await newUser();
  const page = await visitor(browser);
  await page.addInitScript(() => {
    IDBObjectStore.prototype.put = () => {
      throw new DOMException('full', 'QuotaExceededError');
    };
  });
  await enter(page, user);
  const removed = page.waitForResponse((response) => response.request().method() === 'DELETE' && response.status() === 204);
  await page.getByRole('button', { name: 'Register this device' }).click();
  await removed;
  await page.getByText('This browser keeps nothing for this page').waitFor();
  assert.deepEqual(await registered(user), []);
  await page.context().close();
});
