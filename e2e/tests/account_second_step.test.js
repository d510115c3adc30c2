// The second step on the account page: set up with a real code, asked for again, and reset.
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { overflows, violations } from '../lib/accessibility.js';
import { enter, focused, HOME, loaded, said } from '../lib/account.js';
import { codeOf } from '../lib/authenticator.js';
import { launch, visitor } from '../lib/browser.js';
import { management, newUser } from '../lib/setup.js';

const RESULTS = path.join(import.meta.dirname, '..', 'results');

let browser;

before(async () => {
  browser = await launch();
});
after(() => browser?.close());

/** What the server knows of a user's second step. */
async function enrolled(user) {
  const answer = await management.users.enrollments.get(user.user_id);
  return answer.map(({ auth_method }) => auth_method);
}

/** From "Set up" through the server's pages and back; the secret of the app. */
async function setUp(page) {
  await page.getByRole('button', { name: 'Set up a second step' }).click();
  await page.locator('#code').waitFor();
  const secret = await page.locator('.secret code').textContent();
  await page.locator('#code').fill(codeOf(secret));
  await page.locator('input[name=saved]').check();
  await page.locator('button[value=default]').click();
  await page.waitForURL((url) => url.href.startsWith(HOME));
  await loaded(page);
  return secret;
}

test('a person sets up a second step, by keyboard resets it, and is told of both', async () => {
  const user = await newUser();
  const page = await visitor(browser);
  await enter(page, user);
  await page.locator('#second-step').getByText('None yet.').waitFor();
  await setUp(page);
  await said(page, 'Your second step is set up.');
  assert.equal(await focused(page), 'Second step');
  assert.deepEqual(await enrolled(user), ['authenticator']);
  const card = await page.locator('#second-step').innerText();
  for (const text of ['Authenticator app', 'On', 'Set up']) assert.ok(card.includes(text), text);
  assert.deepEqual(await violations(page), []);

  const reset = page.getByRole('button', { name: 'Reset the second step' });
  await reset.focus();
  await page.keyboard.press('Enter');
  const question = page.getByRole('group', { name: 'Reset the second step?' });
  await question.waitFor();
  assert.deepEqual(await violations(page), []);
  await page.keyboard.press('Escape');
  assert.equal(await reset.evaluate((button) => button === document.activeElement), true);
  assert.deepEqual(await enrolled(user), ['authenticator']);
  await page.keyboard.press('Enter');
  await question.waitFor();
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await said(page, 'Your second step is reset.');
  assert.equal(await focused(page), 'Second step');
  await page.locator('#second-step').getByText('None yet.').waitFor();
  assert.deepEqual(await enrolled(user), []);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test('a reload does not say again that it was set up', async () => {
  const page = await visitor(browser);
  await enter(page, await newUser());
  await setUp(page);
  await said(page, 'Your second step is set up.');
  await page.reload();
  await loaded(page);
  assert.equal(await page.getByRole('status').textContent(), '');
  await page.context().close();
});

test('setting up that fails is told on the card, and the person stays signed in', async () => {
  const user = await newUser();
  const page = await visitor(browser);
  await enter(page, user);
  await page.route('**/authorize?**acr_values**', (route) => {
    const query = new URL(route.request().url()).searchParams;
    const answer = new URLSearchParams({ error: 'unmet_authentication_requirements', error_description: 'The user has no second factor to sign in with', state: query.get('state') });
    return route.fulfill({ status: 302, headers: { location: `${HOME}?${answer}` } });
  });
  await page.getByRole('button', { name: 'Set up a second step' }).click();
  await page.getByRole('alert').getByText('Your second step was not set up. The user has no second factor to sign in with.').waitFor();
  await loaded(page);
  assert.equal(await focused(page), 'Second step');
  assert.deepEqual(await violations(page), []);
  assert.ok((await page.locator('#profile').innerText()).includes(user.user_id));
  await page.context().close();
});

test('nothing for axe-core and no sideways scrolling, in both themes and three sizes', async () => {
  for (const colorScheme of ['light', 'dark']) {
    const page = await visitor(browser, { colorScheme });
    await enter(page, await newUser({ name: 'Ada Lovelace' }));
    await setUp(page);
    await page.getByRole('button', { name: 'Reset the second step' }).click();
    await page.getByRole('group', { name: 'Reset the second step?' }).waitFor();
    await page.evaluate(() => {
      document.getElementById('status').textContent = '';
    });
    for (const width of [1280, 390, 320]) {
      const which = `account-second-step-${colorScheme}-${width}`;
      await page.setViewportSize({ width, height: 844 });
      await page.locator('#second-step').screenshot({ path: path.join(RESULTS, `${which}.png`) });
      assert.deepEqual(await violations(page), [], which);
      assert.equal(await overflows(page), false, which);
    }
    await page.context().close();
  }
});
