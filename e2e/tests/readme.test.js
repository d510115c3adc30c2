// The ten lines of the README are run as they stand, on another port of localhost.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { serveApp } from '../lib/app.js';
import { launch, signIn, visitor } from '../lib/browser.js';
import { doorward, management, newUser } from '../lib/setup.js';

const readme = readFileSync(path.join(import.meta.dirname, '..', '..', 'README.md'), 'utf8');
const blocks = [...readme.matchAll(/```(\w+)\n([^]*?)```/g)].map(([, kind, text]) => ({ kind, text }));
const script = blocks.find(({ text }) => text.includes('createAuth0Client'))?.text;

let app, browser;

before(async () => {
  const main = script.replace('localhost:8443', doorward.domain).replace('CLIENT_ID', doorward.spa.client_id);
  const page = blocks.find(({ kind, text }) => kind === 'html' && text.includes('main.js')).text
    .replace('<script', '<script type="importmap">{"imports":{"@auth0/auth0-spa-js":"/auth0-spa-js.esm.js"}}</script>\n<link rel="icon" href="data:,">\n<script');
  app = await serveApp({ '/': page, '/main.js': main });
  // The seeded client knows the usual ports; this test takes whichever is free.
  const { callbacks, web_origins: origins } = await management.clients.get(doorward.spa.client_id);
  await management.clients.update(doorward.spa.client_id, { callbacks: [...callbacks, app.origin], web_origins: [...origins, app.origin] });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await app?.close();
});

test('the example has ten lines', () => {
  assert.equal(script.trim().split('\n').length, 10);
});

test('the example signs a person in, writes their metadata and reads their profile', async () => {
  const user = await newUser();
  const page = await visitor(browser);
  await page.goto(app.origin);
  await page.locator('#username').waitFor();
  await signIn(page, user, app.origin);
  await page.getByText(user.email).waitFor();
  const { user_metadata: metadata } = await management.users.get(user.user_id);
  assert.equal(typeof metadata.last_visit, 'string');
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});
