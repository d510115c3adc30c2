// The password on the account page: a link is asked for, a new one chosen behind it, and the old one and its sessions are over.
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { overflows, violations } from '../lib/accessibility.js';
import { enter, focused, HOME, loaded, said } from '../lib/account.js';
import { launch, signIn, typePassword, visitor } from '../lib/browser.js';
import { letterTo, linkOf } from '../lib/doorward.js';
import { CONNECTION, doorward, management, newUser, word } from '../lib/setup.js';

const RESULTS = path.join(import.meta.dirname, '..', 'results');

let browser;

before(async () => {
  browser = await launch();
});
after(() => browser?.close());

/** Has a link mailed by pressing what is there, and comes back when the card says so. */
async function askForLink(page, email) {
  await page.getByRole('button', { name: 'Change password' }).first().click();
  await page.getByRole('button', { name: 'Send the link' }).click();
  await page.locator('#password').getByText(`the link should reach ${email}`).waitFor();
}

/** Follows the newest link that went to the address, and chooses a password there. */
async function choose(page, email, password) {
  await page.goto(linkOf(await letterTo(doorward.tools, email, 'reset_email')));
  assert.ok((await page.locator('main').innerText()).includes(email));
  await page.locator('#password').fill(password);
  await page.getByRole('button', { name: 'Set new password' }).click();
  await page.getByRole('heading', { name: 'Your password is changed' }).waitFor();
}

/** What browsers say when somebody comes back to a page. */
function returnTo(page) {
  return page.evaluate(() => document.dispatchEvent(new Event('visibilitychange')));
}

test('a person changes their password: the old one is refused, and the new one leads in', async () => {
  const user = await newUser();
  const password = `Another-Horse-${word()}!`;
  const page = await visitor(browser);
  await enter(page, user);
  await askForLink(page, user.email);
  // In a tab of the same browser, as a link in a mail opens.
  const other = await page.context().newPage();
  await choose(other, user.email, password);
  await other.getByRole('link', { name: 'Continue' }).click();
  await other.waitForURL(HOME);
  await other.getByRole('button', { name: 'Sign in' }).waitFor();

  // The page that was open before notices when the person comes back to it.
  await returnTo(page);
  await page.getByText('Your session has ended. Sign in to go on.').waitFor();
  assert.equal(await focused(page), 'Sign in');
  assert.deepEqual(await violations(page), []);

  await page.keyboard.press('Enter');
  await page.locator('#username').waitFor();
  await typePassword(page, user);
  await page.getByRole('alert').waitFor();
  await signIn(page, { email: user.email, password }, HOME);
  await loaded(page);
  const card = await page.locator('#password').innerText();
  assert.match(card, /Last changed /);
  assert.ok(card.includes(user.email));
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test('a reload, and a new token, find that the session is over', async () => {
  const user = await newUser();
  const [page, elsewhere] = [await visitor(browser), await visitor(browser)];
  await enter(page, user);
  await askForLink(page, user.email);
  // On another device: nothing is known of the session there.
  await choose(elsewhere, user.email, `Another-Horse-${word()}!`);
  await elsewhere.context().close();
  // The first writing is refused as by a server that keeps tokens no longer; whether there is another token is the session's to say.
  let written = 0;
  await page.route('**/api/v2/users/**', (route) => {
    const first = route.request().method() === 'PATCH' && written++ === 0;
    return first ? route.fulfill({ status: 401, json: { statusCode: 401, message: 'Invalid token' } }) : route.continue();
  });
  await page.getByRole('button', { name: 'Edit metadata' }).click();
  await page.getByLabel('Metadata as JSON').fill('{"late": true}');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('Your session has ended. Sign in to go on.').waitFor();
  assert.equal(written, 1, 'there was no other token');
  await page.unroute('**/api/v2/users/**');
  await page.reload();
  await page.getByRole('button', { name: 'Sign in' }).waitFor();
  assert.equal((await management.users.get(user.user_id)).user_metadata, undefined);
  await page.context().close();
});

test('who has signed in anew meanwhile stays, and is told', async () => {
  const user = await newUser();
  const page = await visitor(browser);
  await enter(page, user);
  await askForLink(page, user.email);
  // Nothing has happened yet: the page says so, and goes on.
  const looked = page.waitForResponse((response) => response.url().includes('last_password_reset'));
  await returnTo(page);
  await looked;
  assert.ok((await page.locator('#password').innerText()).includes('Check your email'));
  const other = await page.context().newPage();
  const password = `Another-Horse-${word()}!`;
  await choose(other, user.email, password);
  await enter(other, { email: user.email, password });
  await returnTo(page);
  await said(page, 'Your password is changed.');
  assert.match(await page.locator('#password').innerText(), /Last changed /);
  assert.equal(await focused(page), 'Password');
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test('by keyboard: the question has the focus, Escape is no, and what was asked for is said aloud', async () => {
  const user = await newUser();
  const page = await visitor(browser);
  await enter(page, user);
  const change = page.getByRole('button', { name: 'Change password' });
  await change.focus();
  await page.keyboard.press('Enter');
  const question = page.getByRole('group', { name: `Change the password of ${user.email}?` });
  await question.waitFor();
  assert.equal(await question.evaluate((group) => group === document.activeElement), true);
  assert.deepEqual(await violations(page), []);
  await page.keyboard.press('Escape');
  assert.equal(await change.evaluate((button) => button === document.activeElement), true);
  await page.keyboard.press('Enter');
  await question.waitFor();

  let answer;
  const held = new Promise((resolve) => {
    answer = resolve;
  });
  await page.route('**/dbconnections/change_password', async (route) => {
    await held;
    await route.continue();
  });
  const sent = page.waitForRequest('**/dbconnections/change_password');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  const { client_id, ...rest } = (await sent).postDataJSON();
  assert.deepEqual(rest, { email: user.email, connection: CONNECTION });
  assert.equal(client_id, (await (await fetch(`${HOME}config.json`)).json()).client_id);
  assert.equal(await page.getByRole('button', { name: 'Sending…' }).isDisabled(), true);
  answer();
  await said(page, 'Check your email for the link.');
  assert.equal(await focused(page), 'Password');
  await change.waitFor();
  assert.deepEqual(await violations(page), []);
  await letterTo(doorward.tools, user.email, 'reset_email');
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test('what goes wrong is told in the question, and can be tried again', async () => {
  const user = await newUser();
  const page = await visitor(browser);
  await enter(page, user);
  await page.getByRole('button', { name: 'Change password' }).click();
  const go = page.getByRole('button', { name: 'Send the link' });
  const limited = { status: 429, headers: { 'retry-after': '17' }, json: { error: 'too_many_requests', error_description: 'Global limit has been reached' } };
  for (const [meet, text] of [
    [(route) => route.fulfill(limited), 'That was a lot of requests. Wait 17 seconds, then try again.'],
    [(route) => route.abort(), 'The server could not be reached.'],
  ]) {
    await page.route('**/dbconnections/change_password', meet);
    await go.click();
    await page.locator('#password').getByRole('alert').getByText(text).waitFor();
    assert.equal(await focused(page), 'Send the link');
    await page.unroute('**/dbconnections/change_password');
  }
  assert.deepEqual(await violations(page), []);
  await go.click();
  await page.locator('#password').getByText(`the link should reach ${user.email}`).waitFor();
  await page.context().close();
});

test('a linked account has a password of its own, and a row that goes with it', async () => {
  const [user, linked] = [await newUser(), await newUser()];
  await management.users.identities.link(user.user_id, { provider: 'auth0', user_id: linked.user_id.split('|')[1] });
  const page = await visitor(browser);
  await enter(page, user);
  await page.getByRole('button', { name: `Change password of ${linked.email}` }).click();
  await page.getByRole('button', { name: 'Send the link' }).click();
  const letter = await letterTo(doorward.tools, linked.email, 'reset_email');
  await page.getByRole('button', { name: `Unlink ${linked.email}` }).click();
  await page.getByRole('group', { name: `Unlink ${linked.email}?` }).getByRole('button', { name: 'Unlink' }).click();
  await said(page, `${linked.email} is unlinked.`);
  await page.getByRole('button', { name: 'Change password', exact: true }).waitFor();
  assert.ok(!(await page.locator('#password').innerText()).includes(linked.email));
  assert.ok(linkOf(letter).startsWith(doorward.issuer));
  await page.context().close();
});

test('the card is there for who has a password, and for nobody else', async () => {
  const user = await newUser();
  const codes = await management.connections.create({ name: `email-${word()}`, strategy: 'email' });
  const first = await management.users.create({ connection: codes.name, email: `${word()}@example.com`, email_verified: true });
  await management.users.identities.link(first.user_id, { provider: 'auth0', user_id: user.user_id.split('|')[1] });
  const page = await visitor(browser);
  const listed = () => page.locator('.sections a[href="#password"]').isVisible();
  // As it is for who has the first of these accounts alone.
  await page.route('**/api/v2/users/**last_password_reset', async (route) => {
    const answer = await route.fetch();
    const { identities, ...rest } = await answer.json();
    await route.fulfill({ response: answer, json: { ...rest, identities: identities.filter(({ provider }) => provider !== 'auth0') } });
  });
  await enter(page, user);
  assert.ok((await page.locator('#profile').innerText()).includes(first.user_id));
  assert.deepEqual([await page.locator('#password').isVisible(), await listed()], [false, false]);
  await page.unroute('**/api/v2/users/**last_password_reset');
  await page.reload();
  await loaded(page);
  await page.locator('#password').getByText(user.email).waitFor();
  assert.equal(await listed(), true);
  await page.getByRole('button', { name: `Unlink ${user.email}` }).click();
  await page.getByRole('group', { name: `Unlink ${user.email}?` }).getByRole('button', { name: 'Unlink' }).click();
  await said(page, `${user.email} is unlinked.`);
  await page.locator('#password').waitFor({ state: 'hidden' });
  assert.equal(await listed(), false);
  await page.context().close();
});

test('who has no address is told why there is no link', async () => {
  const user = await newUser();
  const page = await visitor(browser);
  await page.route('**/api/v2/users/**last_password_reset', async (route) => {
    const answer = await route.fetch();
    const { email: _, ...rest } = await answer.json();
    await route.fulfill({ response: answer, json: rest });
  });
  await enter(page, user);
  await page.locator('#password').getByText('No email address is known here').waitFor();
  assert.equal(await page.getByRole('button', { name: 'Change password' }).count(), 0);
  assert.deepEqual(await violations(page), []);
  await page.context().close();
});

test('nothing for axe-core and no sideways scrolling, in both themes and four sizes', async () => {
  const user = await newUser({ email: 'ada.byron@example.com' });
  for (const colorScheme of ['light', 'dark']) {
    const page = await visitor(browser, { colorScheme });
    await enter(page, user);
    const check = async (name) => {
      await page.evaluate(() => {
        document.getElementById('status').textContent = '';
      });
      for (const width of [1280, 390, 375, 320]) {
        const which = `${name}-${colorScheme}-${width}`;
        await page.setViewportSize({ width, height: 844 });
        await page.locator('#password').screenshot({ path: path.join(RESULTS, `${which}.png`) });
        assert.deepEqual(await violations(page), [], which);
        assert.equal(await overflows(page), false, which);
      }
    };
    await page.getByRole('button', { name: 'Change password' }).click();
    await page.getByRole('group', { name: /^Change the password/ }).waitFor();
    await check('account-password');
    await page.getByRole('button', { name: 'Send the link' }).click();
    await page.locator('#password').getByText('Check your email').waitFor();
    await check('account-password-asked');
    await page.context().close();
  }
});
