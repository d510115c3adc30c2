// The same odd requests to node's oidc-provider and to a strict Doorward: where the answers differ, docs/differential.md says why.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { REASONS } from '../differential/differences.js';
import { outcome } from '../differential/exchange.js';
import { startProvider } from '../differential/provider.js';
import { CALLBACK, REQUESTS } from '../differential/requests.js';
import { table } from '../differential/table.js';
import { doorward, enable, management, newUser, word } from '../lib/setup.js';

const DOCUMENT = path.join(import.meta.dirname, '..', '..', 'docs', 'differential.md');

let ours, theirs;

before(async () => {
  theirs = await startProvider();
  await setStrict(true);
  ours = await ourClients();
});
after(async () => {
  await setStrict(false);
  await theirs?.stop();
});

/** Lets the tenant of the running server be strict, or not any more. */
async function setStrict(strict) {
  const { client_id, client_secret } = doorward.m2m;
  const call = (path, method, body, token) =>
    fetch(`${doorward.issuer}${path}`, { method, headers: { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}) }, body: JSON.stringify(body) });
  const grant = { grant_type: 'client_credentials', client_id, client_secret, audience: `${doorward.issuer}api/v2/` };
  const { access_token: token } = await (await call('oauth/token', 'POST', grant)).json();
  const response = await call('api/v2/doorward/protocol', 'PATCH', { strict }, token);
  assert.equal(response.status, 200, await response.text());
}

/** The running server with clients like those of the other one. */
async function ourClients() {
  const users = { grant_types: ['authorization_code', 'implicit', 'refresh_token'], callbacks: [CALLBACK], allowed_logout_urls: ['https://app.example.com/after'] };
  const refresh_token = {
    rotation_type: 'rotating', expiration_type: 'expiring', token_lifetime: 86_400, idle_token_lifetime: 86_400, leeway: 0, infinite_token_lifetime: false, infinite_idle_token_lifetime: false,
  };
  const clients = {};
  for (const [name, extra] of Object.entries({
    web: { app_type: 'regular_web', token_endpoint_auth_method: 'client_secret_basic', ...users, refresh_token },
    post: { app_type: 'regular_web', token_endpoint_auth_method: 'client_secret_post', ...users },
    page: { app_type: 'spa', token_endpoint_auth_method: 'none', ...users },
    machine: { app_type: 'non_interactive', token_endpoint_auth_method: 'client_secret_basic', grant_types: ['client_credentials'] },
  })) {
    const client = await management.clients.create({ name: `${name} ${word()}`, oidc_conformant: true, jwt_configuration: { alg: 'RS256' }, ...extra });
    if (name !== 'machine') await enable(client.client_id);
    clients[name] = client;
  }
  await management.tenants.settings.update({ pushed_authorization_requests_supported: true });
  const people = [await newUser(), await newUser()];
  const at = (place) => `${doorward.issuer}${place}`;
  return {
    name: 'Doorward',
    origin: doorward.issuer,
    endpoints: { authorize: at('authorize'), token: at('oauth/token'), userinfo: at('userinfo'), par: at('oauth/par'), revoke: at('oauth/revoke'), logout: at('oidc/logout') },
    clients,
    login: ({ email, password }) => ({ username: email, password }),
    people,
  };
}

test('every difference has its reason, and no reason is without a difference', async () => {
  assert.ok(REQUESTS.length >= 200, `${REQUESTS.length} requests`);
  const differences = [];
  for (const request of REQUESTS) {
    const [mine, other] = [await outcome(ours, request), await outcome(theirs, request)];
    if (mine !== other) differences.push({ name: request.name, ours: mine, theirs: other });
  }
  const written = table(REQUESTS.length, differences, REASONS);
  if (process.env.WRITE) writeFileSync(DOCUMENT, written);
  const explained = REASONS.flatMap(({ requests }) => requests);
  const unexplained = differences.filter(({ name }) => !explained.includes(name));
  assert.deepEqual(unexplained, []);
  assert.deepEqual(explained.filter((name) => !differences.some((one) => one.name === name)), []);
  assert.equal(readFileSync(DOCUMENT, 'utf8'), written, 'docs/differential.md is not what was found: run it with WRITE=1');
});
