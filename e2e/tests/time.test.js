// What happens when time passes. A server of its own: its clock can be moved, and never back.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { serveApp } from '../lib/app.js';
import { launch, signIn, visitor } from '../lib/browser.js';
import { advanceClock, startDoorward } from '../lib/doorward.js';
import { doorward, managementOf } from '../lib/setup.js';
import { call, claims, userPath } from '../lib/tokens.js';

let app, browser, home, other, scratch;

before(async () => {
  scratch = mkdtempSync(path.join(tmpdir(), 'doorward-time-'));
  other = await startDoorward({ data: path.join(scratch, 'data'), authority: doorward.data });
  app = await serveApp();
  home = `${app.origin}/callback.html`;
  // The seeded client knows the usual ports; this test takes whichever is free.
  await managementOf(other.facts).clients.update(other.facts.spa.client_id, { callbacks: [home] });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await app?.close();
  await other?.stop();
  rmSync(scratch, { recursive: true, force: true });
});

function authorize(extra = {}) {
  const { issuer, spa } = other.facts;
  const query = new URLSearchParams({
    client_id: spa.client_id, response_type: 'token', redirect_uri: home, audience: `${issuer}api/v2/`, scope: 'read:current_user', state: 's', ...extra,
  });
  return `${issuer}authorize?${query}`;
}

test('a token ends after two hours, a session after three days without use', async () => {
  const { issuer, tools, users } = other.facts;
  const page = await visitor(browser);
  await page.goto(authorize());
  await signIn(page, users[0], home);
  const token = new URLSearchParams(new URL(page.url()).hash.slice(1)).get('access_token');
  const own = userPath(claims(token).sub);
  assert.equal((await call(token, 'GET', own, undefined, issuer)).status, 200);

  await advanceClock(tools, 7000); // the real clock runs on meanwhile
  assert.equal((await call(token, 'GET', own, undefined, issuer)).status, 200);
  await advanceClock(tools, 201);
  assert.deepEqual(await call(token, 'GET', own, undefined, issuer), {
    status: 401,
    body: {
      statusCode: 401, error: 'Unauthorized', message: 'Expired token received for JSON Web Token validation',
      attributes: { error: 'Expired token received for JSON Web Token validation' },
    },
  });

  const silent = async () => {
    await page.goto(authorize({ prompt: 'none' }));
    return Object.fromEntries(new URLSearchParams(new URL(page.url()).hash.slice(1)));
  };
  assert.equal(typeof (await silent()).access_token, 'string');
  await advanceClock(tools, 72 * 3600 + 1);
  assert.deepEqual(await silent(), { error: 'login_required', error_description: 'Login required', state: 's' });
  await page.context().close();
});

test('the development routes ask for the printed token', async () => {
  const answer = await fetch(`${other.facts.issuer}dev/clock`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"advance_seconds":1}' });
  assert.equal(answer.status, 401);
});
