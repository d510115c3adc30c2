// The `auth0` Node SDK over every family of the Management API that is there.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AuthenticationClient, ManagementClient } from 'auth0';
import { CONNECTION, doorward, management, MANAGEMENT, newApi, newUser, word } from '../lib/setup.js';
import { call, claims, tokenCall, userPath } from '../lib/tokens.js';

/** The status and body of a refused call. */
async function refused(promise) {
  try {
    await promise;
  } catch (error) {
    return { status: error.statusCode, ...error.body };
  }
  return assert.fail('the call was not refused');
}

/** A machine client with a grant for the Management API. */
async function machine(scope) {
  const client = await management.clients.create({ name: `Machine ${word()}`, app_type: 'non_interactive', grant_types: ['client_credentials'] });
  const grant = await management.clientGrants.create({ client_id: client.client_id, audience: MANAGEMENT, scope });
  return { client, grant };
}

test('users: created, read, listed, found by e-mail, changed and deleted', async () => {
  const made = await newUser({ name: 'Ada', user_metadata: { color: 'teal' }, app_metadata: { plan: 'pro' } });
  assert.match(made.user_id, /^auth0\|[0-9a-f]{24}$/);
  const read = await management.users.get(made.user_id);
  assert.deepEqual([read.email, read.name, read.user_metadata, read.app_metadata], [made.email, 'Ada', { color: 'teal' }, { plan: 'pro' }]);
  assert.deepEqual(read.identities, [{ connection: CONNECTION, user_id: made.user_id.slice('auth0|'.length), provider: 'auth0', isSocial: false }]);
  assert.deepEqual(Object.keys(await management.users.get(made.user_id, { fields: 'email,user_id' })).sort(), ['email', 'user_id']);

  const changed = await management.users.update(made.user_id, { name: 'Ada L.', user_metadata: { color: null, size: 's' }, app_metadata: { plan: 'free' } });
  assert.deepEqual([changed.name, changed.user_metadata, changed.app_metadata], ['Ada L.', { size: 's' }, { plan: 'free' }]);
  assert.deepEqual((await management.users.listUsersByEmail({ email: made.email })).map((user) => user.user_id), [made.user_id]);

  const other = await newUser();
  const seen = new Set();
  for await (const user of await management.users.list({ per_page: 1, include_totals: true, sort: 'created_at:-1' })) {
    seen.add(user.user_id);
    if (seen.size === 2) break;
  }
  assert.deepEqual([...seen], [other.user_id, made.user_id]);

  await management.users.delete(made.user_id);
  const gone = await refused(management.users.get(made.user_id));
  assert.deepEqual(gone, { status: 404, statusCode: 404, error: 'Not Found', message: 'The user does not exist.', errorCode: 'inexistent_user' });
  await management.users.delete(other.user_id);
});

test('users: a second one with the same address, a weak password and an unknown field are refused', async () => {
  const user = await newUser();
  const twin = await refused(management.users.create({ connection: CONNECTION, email: user.email.toUpperCase(), password: 'Correct-Horse-1!' }));
  assert.deepEqual([twin.status, twin.message, twin.errorCode], [409, 'The user already exists.', 'auth0_idp_error']);
  const weak = await refused(management.users.create({ connection: CONNECTION, email: `${word()}@example.com`, password: 'short' }));
  assert.deepEqual([weak.status, weak.message], [400, 'PasswordStrengthError: Password is too weak']);
  const odd = await refused(management.users.update(user.user_id, { logins_count: 7 }));
  assert.deepEqual([odd.status, odd.errorCode], [400, 'invalid_body']);
  assert.match(odd.message, /^Payload validation error: 'Additional properties not allowed: logins_count/);
});

test('clients: created with defaults, changed, given a new secret and deleted', async () => {
  const made = await management.clients.create({ name: `Web ${word()}`, app_type: 'regular_web', callbacks: ['https://app.example.com/cb'], client_metadata: { a: '1', b: '2' } });
  assert.match(made.client_id, /^[A-Za-z0-9]{32}$/);
  assert.equal(made.client_secret.length, 64);
  assert.equal(made.is_first_party, true);
  const read = await management.clients.get(made.client_id);
  assert.deepEqual([read.name, read.callbacks], [made.name, ['https://app.example.com/cb']]);
  const changed = await management.clients.update(made.client_id, { description: 'New', client_metadata: { a: null, c: '3' } });
  assert.deepEqual([changed.description, changed.client_metadata], ['New', { b: '2', c: '3' }]);
  const rotated = await management.clients.rotateSecret(made.client_id);
  assert.notEqual(rotated.client_secret, made.client_secret);
  const listed = await management.clients.list({ per_page: 100, include_totals: true });
  assert.ok(listed.data.some((client) => client.client_id === made.client_id));
  const bad = await refused(management.clients.update(made.client_id, { callbacks: ['javascript:alert(1)'] }));
  assert.deepEqual([bad.status, bad.errorCode], [400, 'invalid_body']);
  await management.clients.delete(made.client_id);
  assert.equal((await refused(management.clients.get(made.client_id))).message, 'The client does not exist');
});

test('connections: a database of its own, enabled for a client, with its own users', async () => {
  const name = `db-${word()}`;
  const made = await management.connections.create({ name, strategy: 'auth0', options: { passwordPolicy: 'low' } });
  assert.match(made.id, /^con_[A-Za-z0-9]{16}$/);
  assert.deepEqual([made.name, made.strategy], [name, 'auth0']);
  const client = await management.clients.create({ name: `App ${word()}` });
  await management.connections.clients.update(made.id, [{ client_id: client.client_id, status: true }]);
  assert.deepEqual((await management.connections.clients.get(made.id)).data, [{ client_id: client.client_id }]);
  await management.connections.clients.update(made.id, [{ client_id: client.client_id, status: false }]);
  assert.deepEqual((await management.connections.clients.get(made.id)).data, []);
  const changed = await management.connections.update(made.id, { options: { passwordPolicy: 'excellent' } });
  assert.equal(changed.options.passwordPolicy, 'excellent');
  assert.deepEqual((await management.connections.list({ name })).data.map((one) => one.id), [made.id]);
  const user = await management.users.create({ connection: name, email: `${word()}@example.com`, password: 'Correct-Horse-Battery-1!' });
  assert.equal(user.identities[0].connection, name);
  await management.connections.delete(made.id);
  assert.equal((await refused(management.connections.get(made.id))).message, 'The connection does not exist');
});

test('resource servers: created with defaults, read by identifier, changed and deleted', async () => {
  const made = await newApi({ allow_offline_access: undefined, skip_consent_for_verifiable_first_party_clients: undefined });
  assert.match(made.id, /^[0-9a-f]{24}$/);
  assert.deepEqual([made.allow_offline_access, made.signing_alg, made.token_lifetime, made.token_lifetime_for_web], [false, 'RS256', 86400, 7200]);
  assert.equal((await management.resourceServers.get(made.identifier)).id, made.id);
  const changed = await management.resourceServers.update(made.id, { token_lifetime: 600, token_lifetime_for_web: 60, scopes: [{ value: 'read:only', description: 'Only' }] });
  assert.deepEqual([changed.token_lifetime, changed.scopes], [600, [{ value: 'read:only', description: 'Only' }]]);
  const own = await management.resourceServers.get(MANAGEMENT);
  assert.equal(own.is_system, true);
  assert.ok(own.scopes.some(({ value }) => value === 'read:users') && !own.scopes.some(({ value }) => value.includes('current_user')));
  assert.equal((await refused(management.resourceServers.delete(own.id))).status, 400);
  await management.resourceServers.delete(made.id);
  assert.equal((await refused(management.resourceServers.get(made.id))).message, 'The resource server does not exist');
});

test('client grants: what they list is what the machine gets, and without one there is no token', async () => {
  const { client, grant } = await machine(['read:users', 'read:clients']);
  assert.match(grant.id, /^cgr_[A-Za-z0-9]{16}$/);
  const own = new ManagementClient({ domain: doorward.domain, clientId: client.client_id, clientSecret: client.client_secret });
  assert.ok((await own.users.list({ per_page: 1 })).data.length <= 1);
  const scope = await refused(own.users.create({ connection: CONNECTION, email: 'x@example.com', password: 'Correct-Horse-1!' }));
  assert.deepEqual([scope.status, scope.message, scope.errorCode], [403, 'Insufficient scope, expected any of: create:users', 'insufficient_scope']);

  const changed = await management.clientGrants.update(grant.id, { scope: ['read:users'] });
  assert.deepEqual(changed.scope, ['read:users']);
  assert.deepEqual((await management.clientGrants.list({ client_id: client.client_id })).data.map((one) => one.id), [grant.id]);
  const twin = await refused(management.clientGrants.create({ client_id: client.client_id, audience: MANAGEMENT, scope: [] }));
  assert.equal(twin.status, 409);
  await management.clientGrants.delete(grant.id);
  const none = await tokenCall({ grant_type: 'client_credentials', client_id: client.client_id, client_secret: client.client_secret, audience: MANAGEMENT });
  assert.deepEqual([none.status, none.body.error], [403, 'access_denied']);
});

test('logs: what was done is told, newest first, and one entry can be read by its id', async () => {
  const user = await newUser();
  await management.users.delete(user.user_id);
  const entries = (await management.logs.list({ per_page: 50, include_totals: true, sort: 'date:-1' })).data;
  const written = entries.filter((entry) => entry.type === 'sapi');
  assert.ok(written.some((entry) => entry.description === 'Delete a User'), JSON.stringify(written.slice(0, 3)));
  // In the order in which they were written, which a second may part from that in which they happened.
  const ids = entries.map((entry) => entry.log_id);
  assert.deepEqual(ids, [...ids].sort().reverse());
  const one = await management.logs.get(entries[0].log_id);
  assert.equal(one.log_id, entries[0].log_id);
  const text = JSON.stringify(entries);
  assert.ok(!text.includes(user.password) && !text.includes(doorward.m2m.client_secret), 'no secret is logged');
});

test('tenant settings: read and changed, flags merged', async () => {
  const before = await management.tenants.settings.get();
  assert.deepEqual([before.session_lifetime, before.idle_session_lifetime, before.enabled_locales], [168, 72, ['en']]);
  const changed = await management.tenants.settings.update({ friendly_name: 'Acme', support_email: 'help@example.com', flags: { use_scope_descriptions_for_consent: true } });
  assert.deepEqual([changed.friendly_name, changed.flags.use_scope_descriptions_for_consent], ['Acme', true]);
  const again = await management.tenants.settings.update({ flags: { revoke_refresh_token_grant: false }, friendly_name: before.friendly_name ?? 'Doorward' });
  assert.equal(again.flags.use_scope_descriptions_for_consent, true);
  await management.tenants.settings.update({ flags: { use_scope_descriptions_for_consent: false } });
});

test('branding: colours are kept and null unsets', async () => {
  const changed = await management.branding.update({ colors: { primary: '#0059d6', page_background: '#ffffff' }, logo_url: 'https://example.com/logo.png' });
  assert.deepEqual(changed.colors, { primary: '#0059d6', page_background: '#ffffff' });
  assert.equal((await management.branding.get()).logo_url, 'https://example.com/logo.png');
  const unset = await management.branding.update({ colors: null, logo_url: null });
  assert.equal(unset.logo_url ?? undefined, undefined);
});

test('client_credentials through the authentication client', async () => {
  const { client_id: clientId, client_secret: clientSecret } = doorward.m2m;
  const authentication = new AuthenticationClient({ domain: doorward.domain, clientId, clientSecret });
  const { data } = await authentication.oauth.clientCredentialsGrant({ audience: MANAGEMENT });
  assert.deepEqual([data.token_type, data.expires_in, claims(data.access_token).gty], ['Bearer', 86400, 'client-credentials']);
  const wrong = new AuthenticationClient({ domain: doorward.domain, clientId, clientSecret: 'wrong' });
  await assert.rejects(wrong.oauth.clientCredentialsGrant({ audience: MANAGEMENT }), (error) => error.error === 'access_denied' && error.statusCode === 401);
});

test('a machine gets no scope that is a user’s own', async () => {
  const { client } = await machine(['read:users']);
  const got = await tokenCall({
    grant_type: 'client_credentials', client_id: client.client_id, client_secret: client.client_secret, audience: MANAGEMENT, scope: 'read:current_user read:users',
  });
  assert.equal(claims(got.body.access_token).scope, 'read:users');
  const user = await newUser();
  assert.equal((await call(got.body.access_token, 'GET', userPath(user.user_id))).status, 200);
});
