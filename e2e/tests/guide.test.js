// The code of docs/guides/account-page.md is run as it stands, in an app on another port of localhost.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { serveApp } from '../lib/app.js';
import { codeOf } from '../lib/authenticator.js';
import { launch, signIn, typePassword, visitor } from '../lib/browser.js';
import { letterTo } from '../lib/doorward.js';
import { CONNECTION, doorward, management, newApp, newUser } from '../lib/setup.js';

const guide = readFileSync(path.join(import.meta.dirname, '..', '..', 'docs', 'guides', 'account-page.md'), 'utf8');
const [base, profile, link, unlink, password, secondStep, device, token, ...others] = [...guide.matchAll(/```js\n([^]*?)```/g)].map(([, text]) => text);
/** The first example is the page's script; each of the others is a function of it, called by the tests. */
const STEPS = { profile: `${profile}\nreturn user;`, link, unlink: `${unlink}\nreturn main;`, password: `${password}\nreturn passwords;`, secondStep: `${secondStep}\nreturn factor;`, device: `${device}\nreturn id;`, token: `${token}\nreturn granted;` };

let app, browser;

before(async () => {
  const page = `<!doctype html><title>My app</title><link rel="icon" href="data:,">
    <script type="importmap">{"imports":{"@auth0/auth0-spa-js":"/auth0-spa-js.esm.js"}}</script>
    <button id="linkButton">Link</button><button id="changeButton">Change</button><button id="setUpButton">Set up</button><button id="resetButton">Reset</button>
    <script type="module" src="/main.js"></script>`;
  const files = { '/': page, '/main.js': '' };
  app = await serveApp(files);
  const client = await newApp(app.origin, ['/'], { name: 'Copies of the guide' });
  const steps = Object.entries(STEPS).map(([name, text]) => `async ${name}(${name === 'unlink' ? 'user' : ''}) { ${text} }`);
  files['/main.js'] = `${base.replace('id.example.com', doorward.domain).replace('CLIENT_ID', client.client_id)}\nwindow.steps = { ${steps.join(',\n')} };`;
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await app?.close();
});

async function open(user) {
  const page = await visitor(browser);
  await page.goto(app.origin);
  await page.locator('#username').waitFor();
  await signIn(page, user, app.origin);
  await page.waitForFunction(() => window.steps);
  return page;
}

const step = (page, name, user) => page.evaluate(([name, user]) => window.steps[name](user), [name, user]);

test('every example is one that this file runs', () => {
  assert.deepEqual(others, []);
  assert.ok(token);
});

test('profile, metadata and the token', async () => {
  const user = await newUser({ user_metadata: { language: 'en', keep: 1 } });
  const page = await open(user);
  assert.equal((await step(page, 'profile')).email, user.email);
  assert.deepEqual((await management.users.get(user.user_id)).user_metadata, { keep: 1, theme: 'dark' });
  assert.equal((await step(page, 'token')).filter((scope) => scope.includes(':current_user')).length, 7);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test('linking, unlinking and a device', async () => {
  const [user, other] = [await newUser(), await newUser()];
  const page = await open(user);
  await step(page, 'link');
  const asked = new Promise((resolve) => {
    page.once('dialog', async (dialog) => {
      resolve(dialog.message());
      await dialog.accept();
    });
  });
  const linked = page.waitForResponse((response) => response.request().method() === 'POST' && response.url().endsWith('/identities'));
  const [popup] = await Promise.all([page.waitForEvent('popup'), page.locator('#linkButton').click()]);
  await popup.locator('#username').waitFor();
  await typePassword(popup, other);
  assert.match(await asked, new RegExp(`Link ${other.email}\\?`));
  assert.equal((await linked).status(), 201);
  const { identities } = await step(page, 'profile');
  assert.equal(identities.length, 2);
  const main = await page.evaluate((identities) => window.steps.unlink({ identities }), identities);
  assert.equal(`${main.provider}|${main.user_id}`, user.user_id);
  assert.equal((await management.users.get(user.user_id)).identities.length, 1);
  assert.match(await step(page, 'device'), /^dcr_/);
  assert.deepEqual((await management.deviceCredentials.list({ user_id: user.user_id, type: 'public_key' })).data, []);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test('a link for another password, of an account and of one linked to it', async () => {
  const [user, other] = [await newUser(), await newUser()];
  await management.users.identities.link(user.user_id, { provider: 'auth0', user_id: other.user_id.split('|')[1] });
  const page = await open(user);
  assert.deepEqual((await step(page, 'password')).map(({ email, connection }) => [email, connection]), [[user.email, CONNECTION], [other.email, CONNECTION]]);
  const sent = page.waitForResponse((response) => response.url().endsWith('/dbconnections/change_password') && response.request().method() === 'POST');
  await page.locator('#changeButton').click();
  assert.equal((await sent).status(), 200);
  await letterTo(doorward.tools, user.email, 'reset_email');
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test('the second step', async () => {
  const user = await newUser();
  const page = await open(user);
  assert.equal(await step(page, 'secondStep'), undefined);
  await page.locator('#setUpButton').click();
  await page.locator('#code').waitFor();
  await page.locator('#code').fill(codeOf(await page.locator('.secret code').textContent()));
  await page.locator('input[name=saved]').check();
  await page.locator('button[value=default]').click();
  await page.waitForURL((url) => url.href.startsWith(app.origin));
  await page.waitForFunction(() => window.steps);
  assert.equal((await step(page, 'secondStep')).auth_method, 'authenticator');
  const reset = page.waitForResponse((response) => response.url().endsWith('/multifactor/google-authenticator'));
  await page.locator('#resetButton').click();
  assert.equal((await reset).status(), 204);
  assert.deepEqual(await management.users.enrollments.get(user.user_id), []);
  await page.context().close();
});
