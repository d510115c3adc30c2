// A forgotten password and a new address, through the outbox, as a person goes through it.
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { violations } from '../lib/accessibility.js';
import { serveApp } from '../lib/app.js';
import { agreeIfAsked, launch, typePassword, visitor } from '../lib/browser.js';
import { letterTo, linkOf } from '../lib/doorward.js';
import { doorward, management, MANAGEMENT, newApp, newUser, word } from '../lib/setup.js';

const RESULTS = path.join(import.meta.dirname, '..', 'results');

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
    client_id: client.client_id, response_type: 'token', redirect_uri: home, audience: MANAGEMENT, nonce: 'n', state: 's',
    scope: 'openid read:current_user', ...extra,
  });
  return `${doorward.issuer}authorize?${query}`;
}

for (const javaScriptEnabled of [true, false]) {
  test(`a forgotten password is replaced through a mail, ${javaScriptEnabled ? 'with' : 'without'} JavaScript`, async () => {
    const user = await newUser();
    const page = await visitor(browser, { javaScriptEnabled });
    await page.goto(authorize());
    await page.getByRole('link', { name: 'Forgot password?' }).click();
    await page.locator('#email').fill(user.email);
    await page.getByRole('button', { name: 'Send the link' }).click();
    await page.getByRole('heading', { name: 'Check your email' }).waitFor();

    const letter = await letterTo(doorward.tools, user.email, 'reset_email');
    const password = `Another-Horse-${word()}!`;
    await page.goto(linkOf(letter));
    assert.match(await page.locator('main').innerText(), new RegExp(user.email));
    await page.locator('#password').fill('weak');
    await page.getByRole('button', { name: 'Set new password' }).click();
    await page.getByRole('alert').waitFor();
    await page.locator('#password').fill(password);
    await page.getByRole('button', { name: 'Set new password' }).click();
    await page.getByRole('heading', { name: 'Your password is changed' }).waitFor();
    await letterTo(doorward.tools, user.email, 'password_changed');

    await page.goto(authorize());
    await typePassword(page, user);
    await page.getByRole('alert').waitFor();
    await typePassword(page, { email: user.email, password });
    await agreeIfAsked(page, home);
    // The link is used up.
    await page.goto(linkOf(letter));
    await page.getByRole('heading', { name: 'This link works no more' }).waitFor();
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  });
}

test('who signs up proves their address through a mail', async () => {
  const email = `${word()}@example.com`;
  const page = await visitor(browser);
  await page.goto(authorize({ screen_hint: 'signup' }));
  await page.locator('#email').fill(email);
  await page.locator('#password').fill(`Correct-Horse-${word()}!`);
  await page.locator('button[type=submit][name=action]').first().click();
  await agreeIfAsked(page, home);
  const verified = async () => (await management.users.listUsersByEmail({ email }))[0].email_verified;
  assert.equal(await verified(), false);
  const link = linkOf(await letterTo(doorward.tools, email, 'verify_email'));
  // As a mail scanner does.
  for (let times = 0; times < 3; times++) assert.equal((await fetch(link)).status, 200);
  assert.equal(await verified(), false);
  await page.goto(link);
  await page.getByRole('button', { name: 'Yes, verify it' }).click();
  await page.getByRole('heading', { name: 'Your email is verified' }).waitFor();
  assert.equal(await verified(), true);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test('the outbox shows a letter whole, and nothing in it runs', async () => {
  const user = await newUser();
  const { ticket } = await management.tickets.changePassword({ user_id: user.user_id });
  const page = await visitor(browser);
  await page.goto(ticket);
  await page.locator('#password').fill(`Another-Horse-${word()}!`);
  await page.getByRole('button', { name: 'Set new password' }).click();
  await page.getByRole('heading', { name: 'Your password is changed' }).waitFor();
  const letter = await letterTo(doorward.tools, user.email, 'password_changed');
  for (const colorScheme of ['light', 'dark']) {
    const reader = await visitor(browser, { colorScheme });
    await reader.goto(doorward.tools.replace('/dev?', '/dev/outbox?'));
    await reader.getByRole('link', { name: letter.subject }).first().waitFor();
    assert.deepEqual(await violations(reader), []);
    await reader.screenshot({ path: path.join(RESULTS, `outbox-${colorScheme}.png`) });
    await reader.goto(doorward.tools.replace('/dev?', `/dev/outbox/${letter.id}?`));
    const shown = reader.frameLocator('iframe');
    await shown.getByRole('heading', { name: 'Your password was changed' }).waitFor();
    await reader.screenshot({ path: path.join(RESULTS, `letter-${colorScheme}.png`), fullPage: true });
    assert.deepEqual(reader.complaints, []);
    await reader.context().close();
  }
  await page.context().close();
});
