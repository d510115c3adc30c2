// The account page at /account/: what an end user sees, on the real server.
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { overflows, violations } from '../lib/accessibility.js';
import { enter, HOME, loaded, said } from '../lib/account.js';
import { launch, signIn, visitor } from '../lib/browser.js';
import { doorward, management, newUser } from '../lib/setup.js';

const RESULTS = path.join(import.meta.dirname, '..', 'results');

let browser;

before(async () => {
  browser = await launch();
});
after(() => browser?.close());

/** Replaces the metadata through the editor. */
async function write(page, text) {
  await page.getByRole('button', { name: 'Edit metadata' }).click();
  await page.getByLabel('Metadata as JSON').fill(text);
  await page.getByRole('button', { name: 'Save' }).click();
}

test('it is the real page, with a strict policy and nothing of its own in the document', async () => {
  const answer = await fetch(HOME);
  const html = await answer.text();
  assert.equal(answer.status, 200);
  assert.match(html, /<script type="module"[^>]* src="\/account\/assets\/[^"]+\.js"/);
  assert.doesNotMatch(html, /<script(?![^>]*src)|<style|style=/);
  const policy = answer.headers.get('content-security-policy');
  assert.match(policy, /default-src 'none'/);
  assert.match(policy, /script-src 'self';/);
  assert.doesNotMatch(policy, /unsafe/);
  const config = await (await fetch(`${HOME}config.json`)).json();
  assert.deepEqual([config.domain, config.audience, config.client_id.length], [doorward.domain, `${doorward.issuer}api/v2/`, 32]);
});

test('a stranger signs in, sees their profile, edits their metadata, and signs out', async () => {
  const user = await newUser({ name: 'Ada Lovelace', user_metadata: { theme: 'dark', address: { city: 'London' } }, app_metadata: { plan: 'pro' } });
  const page = await visitor(browser);
  await enter(page, user);
  const profile = await page.locator('#profile').innerText();
  for (const text of ['Ada Lovelace', user.email, 'Verified email', user.user_id]) assert.ok(profile.includes(text), text);
  const metadata = await page.locator('#metadata').innerText();
  for (const text of ['theme', 'dark', 'city', 'London', 'plan', 'pro']) assert.ok(metadata.includes(text), text);

  await write(page, '{"theme": "light", "tags": ["a", "b"]}');
  await said(page, 'Metadata saved.');
  assert.deepEqual((await management.users.get(user.user_id)).user_metadata, { theme: 'light', tags: ['a', 'b'] });
  assert.ok(!(await page.locator('#metadata').innerText()).includes('London'));

  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('button', { name: 'Sign in' }).waitFor();
  assert.equal(page.url(), HOME);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.locator('#password').waitFor();
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test('a reload keeps the person signed in without keeping a token in the browser', async () => {
  const user = await newUser();
  const page = await visitor(browser);
  await enter(page, user);
  assert.deepEqual(await page.evaluate(() => ({ ...window.localStorage })), {});
  assert.ok(!(await page.evaluate(() => JSON.stringify({ ...window.sessionStorage }))).includes('eyJ'));
  await page.reload();
  await loaded(page);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test('the permissions say what was granted, and only that', async () => {
  const user = await newUser();
  const page = await visitor(browser);
  await enter(page, user);
  const lines = await page.locator('#permissions .permissions li').allInnerTexts();
  assert.equal(lines.length, 10);
  for (const line of lines) assert.match(line, /(?<!Not )Granted/i);
  assert.equal(lines.filter((line) => line.includes(':current_user')).length, 7);
  await page.getByText('Show the decoded token').click();
  const shown = JSON.parse(await page.locator('#permissions pre').innerText());
  assert.equal(shown.claims.sub, user.user_id);
  assert.equal(shown.header.alg, 'RS256');
  await page.context().close();
});

test('metadata that is not an object in JSON is not sent', async () => {
  const user = await newUser({ user_metadata: { keep: true } });
  const page = await visitor(browser);
  await enter(page, user);
  await write(page, '{"keep": true,');
  await page.getByText('This is not valid JSON').waitFor();
  assert.equal(await page.locator('textarea').getAttribute('aria-invalid'), 'true');
  assert.deepEqual(await violations(page), []);
  await page.getByLabel('Metadata as JSON').fill('[1]');
  await page.getByText('Metadata is an object').waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Edit metadata' }).waitFor();
  assert.deepEqual((await management.users.get(user.user_id)).user_metadata, { keep: true });
  await page.context().close();
});

test('each card fails by itself and can be tried again', async () => {
  const user = await newUser();
  const page = await visitor(browser);
  const cards = ['profile', 'linked-accounts', 'password', 'second-step', 'metadata'];
  await page.route('**/api/v2/users/**', (route) => route.abort());
  await page.addInitScript(() => {
    const { open } = IDBFactory.prototype;
    IDBFactory.prototype.open = function (...names) {
      if (!window.mended) throw new DOMException('not here', 'SecurityError');
      return open.apply(this, names);
    };
  });
  await page.goto(HOME);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.locator('#username').waitFor();
  await signIn(page, user, HOME);
  for (const card of cards) await page.locator(`#${card}`).getByText('The server could not be reached').waitFor();
  await page.locator('#device').getByText('This browser keeps nothing for this page').waitFor();
  await page.locator('#permissions .permissions').first().waitFor();
  assert.deepEqual(await violations(page), []);
  await page.unroute('**/api/v2/users/**');
  await page.evaluate(() => {
    window.mended = true;
  });
  for (const card of [...cards, 'device']) {
    await page.locator(`#${card}`).getByRole('button', { name: 'Try again' }).click();
    assert.equal(await page.evaluate(() => document.activeElement.id), `${card}-title`);
  }
  await loaded(page);
  await page.getByText('Nothing here yet').waitFor();
  await page.context().close();
});

test('a card that waits says so', async () => {
  const page = await visitor(browser);
  let answer;
  const held = new Promise((resolve) => {
    answer = resolve;
  });
  await page.route('**/api/v2/users/**', async (route) => {
    await held;
    await route.continue();
  });
  await page.goto(HOME);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.locator('#username').waitFor();
  await signIn(page, await newUser(), HOME);
  await page.locator('#permissions .permissions').first().waitFor();
  for (const card of ['profile', 'linked-accounts', 'password', 'second-step', 'metadata']) {
    assert.equal(await page.locator(`#${card} .body[aria-busy=true] .skeleton`).innerText(), 'Loading…');
  }
  assert.deepEqual(await violations(page), []);
  answer();
  await loaded(page);
  await page.context().close();
});

test('a session that ended elsewhere leads back to signing in', async () => {
  const user = await newUser();
  const page = await visitor(browser);
  await enter(page, user);
  await management.users.update(user.user_id, { blocked: true });
  await write(page, '{"late": true}');
  await page.getByText('Your session has ended. Sign in to go on.').waitFor();
  assert.equal((await management.users.get(user.user_id)).user_metadata, undefined);
  await page.context().close();
});

test('somebody else’s token is never used for the person on the page', async () => {
  const [first, second] = [await newUser(), await newUser()];
  const page = await visitor(browser);
  await enter(page, first);
  const other = await page.context().newPage();
  await other.goto(HOME);
  await other.getByRole('button', { name: 'Sign out' }).click();
  await enter(other, second);
  // The first one's token stops working, and what the browser's session now gives is the second one's.
  await management.users.update(first.user_id, { blocked: true });
  await write(page, '{"whose": "mine"}');
  await page.getByText('Another account is signed in in this browser now.').waitFor();
  assert.equal((await management.users.get(second.user_id)).user_metadata, undefined);
  await page.context().close();
});

test('it can be used by keyboard alone', async () => {
  const user = await newUser();
  const page = await visitor(browser);
  await enter(page, user);
  await page.getByRole('button', { name: 'Edit metadata' }).focus();
  await page.keyboard.press('Enter');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'metadata-json');
  await page.keyboard.press('Control+A');
  await page.keyboard.type('{"by": "keyboard"}');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await page.getByText('Metadata saved.').waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Edit metadata');
  assert.deepEqual((await management.users.get(user.user_id)).user_metadata, { by: 'keyboard' });
  await page.context().close();
});

test('nothing for axe-core and no sideways scrolling, in both themes and three sizes', async () => {
  const user = await newUser({
    email: 'ada.lovelace@example.com', name: 'Ada Lovelace', user_metadata: { theme: 'dark', language: 'en', address: { city: 'London', country: 'UK' }, interests: ['engines', 'flying machines'] }, app_metadata: { plan: 'pro' },
  });
  const linked = await newUser({ email: 'grace.hopper@example.com', name: 'Grace Hopper' });
  await management.users.identities.link(user.user_id, { provider: 'auth0', user_id: linked.user_id.split('|')[1] });
  for (const colorScheme of ['light', 'dark']) {
    for (const width of [1280, 390, 320]) {
      const page = await visitor(browser, { colorScheme, viewport: { width, height: 844 } });
      const check = async (name) => {
        await page.evaluate(() => window.scrollTo(0, 0));
        const which = `${name}-${colorScheme}-${width}`;
        await page.screenshot({ path: path.join(RESULTS, `${which}.png`), fullPage: true, caret: 'initial' });
        assert.deepEqual(await violations(page), [], which);
        assert.equal(await overflows(page), false, which);
      };
      await page.goto(HOME);
      await page.getByRole('button', { name: 'Sign in' }).waitFor();
      await check('account-signed-out');
      await enter(page, user);
      await check('account');
      await page.getByRole('button', { name: 'Edit metadata' }).click();
      await check('account-editor');
      await page.getByRole('button', { name: 'Cancel' }).click();
      await page.getByRole('button', { name: `Unlink ${linked.email}` }).click();
      await page.getByRole('button', { name: 'Link another account' }).click();
      await page.getByRole('button', { name: `Change password of ${linked.email}` }).click();
      await page.getByRole('button', { name: 'Register this device' }).click();
      await page.getByRole('button', { name: 'Remove this device' }).click();
      await page.getByRole('group', { name: /^Remove/ }).waitFor();
      await page.evaluate(() => {
        document.getElementById('status').textContent = '';
      });
      await check('account-questions');
      assert.deepEqual(page.complaints, []);
      await page.context().close();
    }
  }
});

test('it wears the tenant’s colours', async () => {
  await management.branding.update({ colors: { primary: '#b45309' } });
  const page = await visitor(browser, { colorScheme: 'light' });
  try {
    await page.goto(HOME);
    const signIn = page.getByRole('button', { name: 'Sign in' });
    await signIn.waitFor();
    assert.equal(await signIn.evaluate((button) => getComputedStyle(button).backgroundColor), 'rgb(180, 83, 9)');
    assert.deepEqual(await violations(page), []);
  } finally {
    await management.branding.update({ colors: null });
    await page.context().close();
  }
});
