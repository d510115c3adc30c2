// The hosted pages as people meet them: every page in both themes and sizes, without JavaScript, by keyboard, and light.
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { overflows, violations } from '../lib/accessibility.js';
import { serveApp } from '../lib/app.js';
import { agreeIfAsked, launch, typePassword, visitor } from '../lib/browser.js';
import { doorward, management, MANAGEMENT, newApp, newUser, word } from '../lib/setup.js';

const RESULTS = path.join(import.meta.dirname, '..', 'results');
const LOOKS = ['light', 'dark'].flatMap((colorScheme) => [1280, 390, 320].map((width) => ({ colorScheme, viewport: { width, height: 844 } })));

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
    scope: 'openid profile email read:current_user update:current_user_metadata', ...extra,
  });
  return `${doorward.issuer}authorize?${query}`;
}

/** Every hosted page, by how one gets there. */
const PAGES = {
  login: async (page) => {
    await page.goto(authorize());
    await page.locator('#password').waitFor();
  },
  'login-wrong-password': async (page) => {
    await page.goto(authorize());
    await typePassword(page, { email: 'nobody@example.com', password: 'Wrong-Horse-1!' });
    await page.getByRole('alert').waitFor();
  },
  signup: async (page) => {
    await page.goto(authorize({ screen_hint: 'signup' }));
    await page.locator('#email').waitFor();
  },
  consent: async (page) => {
    await page.goto(authorize());
    await typePassword(page, await newUser());
    await page.locator('button[value=accept]').waitFor();
  },
  error: async (page) => {
    await page.goto(authorize({ redirect_uri: 'https://evil.example/"><script>alert(1)</script>' }));
    await page.locator('h1').waitFor();
  },
  'reset-request': async (page) => {
    await page.goto(authorize());
    await page.getByRole('link', { name: 'Forgot password?' }).click();
    await page.locator('#email').waitFor();
  },
  'reset-sent': async (page) => {
    await PAGES['reset-request'](page);
    await page.locator('#email').fill(`${word()}@example.com`);
    await page.locator('button[type=submit]').click();
    await page.getByRole('heading', { name: 'Check your email' }).waitFor();
  },
  'reset-password': async (page) => {
    const { user_id } = await newUser();
    const { ticket } = await management.tickets.changePassword({ user_id });
    await page.goto(ticket);
    await page.locator('#password').waitFor();
  },
  'verify-email': async (page) => {
    const { user_id } = await newUser();
    const { ticket } = await management.tickets.verifyEmail({ user_id });
    await page.goto(ticket);
    await page.locator('button[type=submit]').waitFor();
  },
  'link-ended': async (page) => {
    await page.goto(`${doorward.issuer}u/reset-password?ticket=none`);
    await page.locator('h1').waitFor();
  },
  'logged-out': async (page) => {
    await page.goto(`${doorward.issuer}v2/logout`);
  },
};

for (const [name, open] of Object.entries(PAGES)) {
  test(`the page ${name}: nothing for axe-core, no sideways scrolling, no third party, in both themes and three sizes`, async () => {
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

test('a person signs in and agrees with JavaScript turned off', async () => {
  const user = await newUser();
  const page = await visitor(browser, { javaScriptEnabled: false });
  await page.goto(authorize());
  await typePassword(page, user);
  await page.locator('button[value=accept]').click();
  await page.waitForURL((url) => url.href.startsWith(home));
  assert.match(page.url(), /#access_token=.*state=s/);
  await page.context().close();
});

test('a person signs in with the keyboard alone', async () => {
  const user = await newUser();
  const page = await visitor(browser);
  await page.goto(authorize());
  await page.locator('#username').waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.id), 'username');
  await page.keyboard.type(user.email);
  await page.keyboard.press('Tab');
  await page.keyboard.type(user.password);
  await page.keyboard.press('Enter');
  await agreeIfAsked(page, home);
  await page.context().close();
});

test('the fields are what password managers and other people’s tests look for', async () => {
  const page = await visitor(browser);
  await page.goto(authorize({ login_hint: 'ada@example.com' }));
  assert.equal(await page.locator('input#username[name=username][autocomplete=username]').inputValue(), 'ada@example.com');
  assert.equal(await page.locator('input#password[name=password][autocomplete=current-password][type=password]').count(), 1);
  assert.equal(await page.locator('button[type=submit][name=action]').innerText(), 'Continue');
  await page.context().close();
});

test('a login page is light and strict', async () => {
  const page = await visitor(browser);
  const session = await page.context().newCDPSession(page);
  await session.send('Network.enable');
  let bytes = 0;
  session.on('Network.loadingFinished', ({ encodedDataLength }) => (bytes += encodedDataLength));
  const answer = await page.goto(authorize(), { waitUntil: 'networkidle' });
  assert.ok(bytes > 0 && bytes < 60_000, `${bytes} bytes`);
  const headers = answer.headers();
  const policy = headers['content-security-policy'];
  assert.match(policy, /default-src 'none'/);
  assert.match(policy, /frame-ancestors 'none'/);
  assert.doesNotMatch(policy, /unsafe/);
  assert.match(headers['cache-control'], /no-store/);
  assert.deepEqual([headers['referrer-policy'], headers['x-content-type-options']], ['no-referrer', 'nosniff']);
  const shift = await page.evaluate(() => new Promise((resolve) => {
    let total = 0;
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) total += entry.value;
    }).observe({ type: 'layout-shift', buffered: true });
    setTimeout(() => resolve(total), 300);
  }));
  assert.equal(shift, 0);
  await page.context().close();
});

test('going back, reloading and a second tab each lead somewhere sensible', async () => {
  const user = await newUser();
  const page = await visitor(browser);
  await page.goto(authorize());
  const second = await page.context().newPage();
  await second.goto(authorize({ state: 'two' }));
  await page.reload();
  await typePassword(page, user);
  await agreeIfAsked(page, home);
  await typePassword(second, user);
  await agreeIfAsked(second, home);
  assert.match(second.url(), /state=two/);
  const back = await page.goBack();
  if (back) assert.ok(back.status() < 500);
  await page.context().close();
});

test('a page of a sign-in that does not exist offers a way out, not a stack trace', async () => {
  const page = await visitor(browser);
  const answer = await page.goto(`${doorward.issuer}u/login?state=unknown`);
  assert.ok(answer.status() >= 400 && answer.status() < 500, String(answer.status()));
  assert.deepEqual(await violations(page), []);
  await page.context().close();
});
