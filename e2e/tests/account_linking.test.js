// Linking a second account on the account page, with nothing but the person's own token.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { violations } from '../lib/accessibility.js';
import { enter, focused, HOME, loaded, said } from '../lib/account.js';
import { launch, signIn, typePassword, visitor } from '../lib/browser.js';
import { doorward, management, newUser } from '../lib/setup.js';
import { call, tokenCall } from '../lib/tokens.js';

let browser;

before(async () => {
  browser = await launch();
});
after(() => browser?.close());

/** Goes as far as the sign-in page in the window of its own. */
async function openWindow(page) {
  await page.getByRole('button', { name: 'Link another account' }).click();
  const [popup] = await Promise.all([page.waitForEvent('popup'), page.getByRole('button', { name: 'Open the window' }).click()]);
  await popup.locator('#username').waitFor();
  return popup;
}

/** Goes as far as the question whether to link `other`. */
async function proveOther(page, other) {
  await typePassword(await openWindow(page), other);
  await page.getByRole('group', { name: `Link ${other.email} to this account?` }).waitFor();
}

async function linkedTo(user) {
  return (await management.users.get(user.user_id)).identities.slice(1).map((identity) => `${identity.provider}|${identity.user_id}`);
}

test('a person links their second account, signs in with it, and unlinks it', async () => {
  const [first, second] = [await newUser(), await newUser({ user_metadata: { only: 'theirs' } })];
  const page = await visitor(browser);
  await enter(page, first);
  await page.getByText('No other account is linked').waitFor();

  await proveOther(page, second);
  await page.getByRole('button', { name: 'Link account' }).click();
  await said(page, `${second.email} is linked.`);
  assert.equal(await focused(page), 'Linked accounts');
  assert.deepEqual(await linkedTo(first), [second.user_id]);
  const rows = await page.locator('#linked-accounts .rows li').allInnerTexts();
  assert.equal(rows.length, 2);
  assert.match(rows[0], new RegExp(`${first.email}[^]*Main account`));
  assert.match(rows[1], new RegExp(`${second.email}[^]*Email and password[^]*Unlink`));
  // The browser is the first account's again, though the second one signed in last.
  await page.reload();
  await loaded(page);
  assert.ok((await page.locator('#profile').innerText()).includes(first.user_id));

  const elsewhere = await visitor(browser);
  await enter(elsewhere, second);
  assert.ok((await elsewhere.locator('#profile').innerText()).includes(first.user_id));
  await elsewhere.context().close();

  await page.getByRole('button', { name: `Unlink ${second.email}` }).click();
  await page.getByRole('group', { name: `Unlink ${second.email}?` }).getByRole('button', { name: 'Unlink' }).click();
  await said(page, `${second.email} is unlinked.`);
  await page.getByText('No other account is linked').waitFor();
  assert.deepEqual(await linkedTo(first), []);
  assert.equal((await management.users.get(second.user_id)).user_metadata, undefined);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test('it can be done by keyboard alone, and Escape leaves everything as it was', async () => {
  const [first, second] = [await newUser(), await newUser()];
  await management.users.identities.link(first.user_id, { provider: 'auth0', user_id: second.user_id.split('|')[1] });
  const page = await visitor(browser);
  await enter(page, first);
  const unlink = page.getByRole('button', { name: `Unlink ${second.email}` });
  await unlink.focus();
  await page.keyboard.press('Enter');
  const question = page.getByRole('group', { name: `Unlink ${second.email}?` });
  await question.waitFor();
  assert.deepEqual(await violations(page), []);
  assert.equal(await question.evaluate((group) => group === document.activeElement), true);
  await page.keyboard.press('Escape');
  assert.equal(await unlink.evaluate((button) => button === document.activeElement), true);
  assert.deepEqual(await linkedTo(first), [second.user_id]);
  await page.keyboard.press('Enter');
  await question.waitFor();
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await said(page, `${second.email} is unlinked.`);
  assert.equal(await focused(page), 'Linked accounts');
  assert.deepEqual(await linkedTo(first), []);
  await page.context().close();
});

test('the same account, a closed window and a blocked one are each told, and can be tried again', async () => {
  const first = await newUser();
  const page = await visitor(browser);
  await enter(page, first);
  await typePassword(await openWindow(page), first);
  await page.getByText('This account leads here already.').waitFor();
  assert.deepEqual(await violations(page), []);
  const again = page.getByRole('button', { name: 'Open the window' });
  assert.equal(await again.evaluate((button) => button === document.activeElement), true);

  const [popup] = await Promise.all([page.waitForEvent('popup'), again.click()]);
  await popup.close();
  await page.getByText('The window was closed before you had signed in.').waitFor();

  await page.evaluate(() => {
    window.open = () => null;
  });
  await again.click();
  await page.getByText('Your browser held the window back.').waitFor();
  await page.keyboard.press('Escape');
  assert.equal(await focused(page), 'Link another account');
  assert.deepEqual(await linkedTo(first), []);
  await page.context().close();
});

test('cancelling while the window is open closes it', async () => {
  const page = await visitor(browser);
  await enter(page, await newUser());
  const popup = await openWindow(page);
  const closed = popup.waitForEvent('close');
  await page.getByRole('button', { name: 'Cancel' }).click();
  await closed;
  assert.equal(await focused(page), 'Link another account');
  await page.context().close();
});

test('a person who does not link is asked to sign in again, because the browser is the other account’s now', async () => {
  const [first, second] = [await newUser(), await newUser()];
  const page = await visitor(browser);
  await enter(page, first);
  await proveOther(page, second);
  assert.deepEqual(await violations(page), []);
  await page.getByRole('button', { name: 'Do not link' }).click();
  await page.getByText('Another account is signed in in this browser now.').waitFor();
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.locator('#password').waitFor();
  await signIn(page, first, HOME);
  await loaded(page);
  assert.ok((await page.locator('#profile').innerText()).includes(first.user_id));
  assert.deepEqual(await linkedTo(first), []);
  assert.ok(await management.users.get(second.user_id));
  await page.context().close();
});

test('what the server refuses is told in its own words', async () => {
  const [first, second] = [await newUser(), await newUser()];
  const page = await visitor(browser);
  await enter(page, first);
  await proveOther(page, second);
  await management.users.delete(second.user_id);
  await page.getByRole('button', { name: 'Link account' }).click();
  await page.getByText('The server did not accept this: Provided secondary account not found.').waitFor();
  assert.equal(await page.getByRole('button', { name: 'Link account' }).isEnabled(), true);
  assert.deepEqual(await linkedTo(first), []);
  await page.context().close();
});

test('where the tenant wants a fresh sign-in, the page leads to one', async () => {
  const [first, second] = [await newUser(), await newUser()];
  await management.users.identities.link(first.user_id, { provider: 'auth0', user_id: second.user_id.split('|')[1] });
  const page = await visitor(browser);
  await enter(page, first);
  const { body } = await tokenCall({ grant_type: 'client_credentials', ...doorward.m2m, audience: `${doorward.issuer}api/v2/` });
  const policy = (rules) => call(body.access_token, 'PATCH', '/doorward/self-service', { unlink_identity: rules });
  assert.equal((await policy({ max_age: 300 })).status, 200);
  try {
    const unlink = async () => {
      await page.getByRole('button', { name: `Unlink ${second.email}` }).click();
      await page.getByRole('group', { name: `Unlink ${second.email}?` }).getByRole('button', { name: 'Unlink' }).click();
    };
    // The token is from before the rule and does not say when its person signed in.
    await unlink();
    await page.getByText('To be sure that it is you, this asks for your password again first.').waitFor();
    assert.deepEqual(await violations(page), []);
    assert.deepEqual(await linkedTo(first), [second.user_id]);
    await page.getByRole('button', { name: 'Sign in again' }).click();
    await page.locator('#password').waitFor();
    await signIn(page, first, HOME);
    await loaded(page);
    await unlink();
    await said(page, `${second.email} is unlinked.`);
    assert.deepEqual(await linkedTo(first), []);
  } finally {
    await policy(null);
  }
  await page.context().close();
});
