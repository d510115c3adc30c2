// Signing in by a link that was mailed, as a person follows it.
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { overflows, violations } from '../lib/accessibility.js';
import { serveApp } from '../lib/app.js';
import { launch, visitor } from '../lib/browser.js';
import { letterTo, linkOf } from '../lib/doorward.js';
import { doorward, management, newApp, word } from '../lib/setup.js';

const RESULTS = path.join(import.meta.dirname, '..', 'results');
const LOOKS = ['light', 'dark'].flatMap((colorScheme) => [1280, 390, 320].map((width) => ({ colorScheme, viewport: { width, height: 844 } })));

let app, browser, client, connection, home;

before(async () => {
  app = await serveApp();
  home = `${app.origin}/callback.html`;
  client = await newApp(app.origin, ['/callback.html'], { name: 'Notes' });
  connection = await management.connections.create({ name: `email-${word()}`, strategy: 'email', enabled_clients: [client.client_id] });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await app?.close();
});

/** Asks for a link, and answers where it leads. */
async function ask(email) {
  const answer = await fetch(`${doorward.issuer}passwordless/start`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      client_id: client.client_id, connection: connection.name, email, send: 'link',
      authParams: { response_type: 'id_token', redirect_uri: home, scope: 'openid email', state: 's', nonce: 'n' },
    }),
  });
  assert.equal(answer.status, 200);
  return linkOf(await letterTo(doorward.tools, email, 'auth_email_by_link'));
}

for (const javaScriptEnabled of [true, false]) {
  test(`a person follows the link of a mail, ${javaScriptEnabled ? 'with' : 'without'} JavaScript`, async () => {
    const email = `${word()}@example.com`;
    const link = await ask(email);
    // As a mail scanner does.
    assert.equal((await fetch(link)).status, 200);
    const page = await visitor(browser, { javaScriptEnabled });
    await page.goto(link);
    assert.match(await page.locator('main').innerText(), new RegExp(email));
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.waitForURL((url) => url.href.startsWith(home));
    const token = new URLSearchParams(new URL(page.url()).hash.slice(1)).get('id_token');
    const claims = JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString());
    assert.deepEqual([claims.email, claims.email_verified, claims.sub.split('|')[0]], [email, true, 'email']);
    // It is used up.
    await page.goto(link);
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByRole('heading', { name: 'You are not signed in' }).waitFor();
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  });
}

for (const used of [false, true]) {
  const name = used ? 'passwordless-link-ended' : 'passwordless-link';
  test(`the page ${name}: nothing for axe-core, no sideways scrolling, in both themes and three sizes`, async () => {
    const link = await ask(`${word()}@example.com`);
    for (const look of LOOKS) {
      const page = await visitor(browser, look);
      await page.goto(used ? link.replace(/verification_code=[^&]*/, 'verification_code=x') : link);
      if (used) {
        await page.getByRole('button', { name: 'Continue' }).click();
        await page.getByRole('alert').waitFor();
      }
      const which = `${name}-${look.colorScheme}-${look.viewport.width}`;
      await page.screenshot({ path: path.join(RESULTS, `${which}.png`), fullPage: true, caret: 'initial' });
      assert.deepEqual(await violations(page), [], which);
      assert.equal(await overflows(page), false, which);
      assert.deepEqual(page.complaints, [], which);
      await page.context().close();
    }
  });
}
