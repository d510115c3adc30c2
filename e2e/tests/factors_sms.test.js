// Codes by SMS as second factor, as people meet them: a phone set up and used, and every page of it. A server of its own, whose tenant asks
// for them; its outbox keeps the messages.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { overflows, violations } from '../lib/accessibility.js';
import { serveApp } from '../lib/app.js';
import { launch, typePassword, visitor } from '../lib/browser.js';
import { letterTo, startDoorward } from '../lib/doorward.js';
import { doorward, managementOf, word } from '../lib/setup.js';

const RESULTS = path.join(import.meta.dirname, '..', 'results');
const LOOKS = ['light', 'dark'].flatMap((colorScheme) => [1280, 390, 320].map((width) => ({ colorScheme, viewport: { width, height: 844 } })));
const MULTI_FACTOR = 'http://schemas.openid.net/pape/policies/2007/06/multi-factor';

let app, browser, home, management, other, scratch;

before(async () => {
  scratch = mkdtempSync(path.join(tmpdir(), 'doorward-sms-'));
  other = await startDoorward({ data: path.join(scratch, 'data'), authority: doorward.data });
  app = await serveApp();
  home = `${app.origin}/callback.html`;
  management = managementOf(other.facts);
  await management.clients.update(other.facts.spa.client_id, { callbacks: [home] });
  await management.connections.create({
    name: 'sms', strategy: 'sms', options: { provider: 'sms_gateway', gateway_url: 'https://sms.example.com/send', from: 'Acme' },
  });
  await management.guardian.factors.set('sms', { enabled: true });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await app?.close();
  await other?.stop();
  rmSync(scratch, { recursive: true, force: true });
});

async function newUser() {
  const [email, password] = [`${word()}@example.com`, `Correct-Horse-${word()}!`];
  const user = await management.users.create({ connection: 'Username-Password-Authentication', email, password, email_verified: true });
  return { ...user, password };
}

const digits = () => String(Math.floor(1e6 + Math.random() * 9e6));

function authorize() {
  const query = new URLSearchParams({
    client_id: other.facts.spa.client_id, response_type: 'id_token', redirect_uri: home, nonce: 'n', state: 's', scope: 'openid', acr_values: MULTI_FACTOR,
  });
  return `${other.facts.issuer}authorize?${query}`;
}

async function codeTo(number, kind) {
  return /\b\d{6}\b/.exec((await letterTo(other.facts.tools, number, kind)).text)[0];
}

/** Gives a password, and chooses a phone in the place of an authenticator app. */
async function toNumber(page, user) {
  await page.goto(authorize());
  await typePassword(page, user);
  await page.getByRole('link', { name: 'Set up something else' }).click();
  await page.getByRole('link', { name: 'Text message' }).click();
  await page.locator('#phone').waitFor();
}

async function toCode(page, user, number) {
  await toNumber(page, user);
  await page.locator('#phone').fill(number);
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.locator('#code').waitFor();
}

function claims(page) {
  const token = new URLSearchParams(new URL(page.url()).hash.slice(1)).get('id_token');
  return JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString());
}

/** Types a code; a whole one is sent at once where a script can. */
async function give(page, code, javaScriptEnabled) {
  await page.locator('#code').fill(code);
  if (!javaScriptEnabled) await page.getByRole('button', { name: 'Continue' }).click();
}

for (const javaScriptEnabled of [true, false]) {
  test(`a person sets a phone up and signs in by it, ${javaScriptEnabled ? 'with' : 'without'} JavaScript`, async () => {
    const [user, end] = [await newUser(), digits()];
    const first = await visitor(browser, { javaScriptEnabled });
    await toCode(first, user, `+1 (202) ${end.slice(0, 3)}-${end.slice(3)}`);
    const number = `+1202${end}`;
    await first.getByText(`We sent a code to ${number} by text message.`).waitFor();
    await give(first, await codeTo(number, 'sms_enrollment'), javaScriptEnabled);
    await first.locator('input[name=saved]').check();
    await first.locator('button[value=default]').click();
    await first.waitForURL((url) => url.href.startsWith(home));
    assert.deepEqual([claims(first).amr, claims(first).acr], [['mfa'], MULTI_FACTOR]);
    assert.deepEqual(first.complaints, []);

    // Elsewhere: the number shows as little as its owner needs.
    const second = await visitor(browser, { javaScriptEnabled });
    await second.goto(authorize());
    await typePassword(second, user);
    await second.getByText(`We sent a code to XXXXXXXX${number.slice(-4)} by text message.`).waitFor();
    await give(second, await codeTo(number, 'sms_verification'), javaScriptEnabled);
    await second.waitForURL((url) => url.href.startsWith(home));
    assert.deepEqual(claims(second).amr, ['mfa']);
    assert.deepEqual(second.complaints, []);
    for (const page of [first, second]) await page.context().close();
  });
}

/** Every page, by how one gets there. */
const PAGES = {
  'sms-options': async (page) => {
    await page.goto(authorize());
    await typePassword(page, await newUser());
    await page.getByRole('link', { name: 'Set up something else' }).click();
    await page.getByRole('link', { name: 'Text message' }).waitFor();
  },
  'sms-number': async (page) => {
    await toNumber(page, await newUser());
  },
  'sms-number-wrong': async (page) => {
    await toNumber(page, await newUser());
    await page.locator('#phone').fill('555 0100');
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByRole('alert').waitFor();
  },
  'sms-code': async (page) => {
    await toCode(page, await newUser(), `+1202${digits()}`);
  },
  'sms-code-wrong': async (page) => {
    await PAGES['sms-code'](page);
    await page.locator('#code').fill('12345');
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByRole('alert').waitFor();
  },
  'sms-challenge': async (page) => {
    const user = await newUser();
    await management.users.authenticationMethods.create(user.user_id, { type: 'phone', phone_number: `+1202${digits()}` });
    await page.goto(authorize());
    await typePassword(page, user);
    await page.locator('#code').waitFor();
  },
};

for (const [name, open] of Object.entries(PAGES)) {
  test(`the page ${name}: nothing for axe-core, no sideways scrolling, in both themes and three sizes`, async () => {
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
