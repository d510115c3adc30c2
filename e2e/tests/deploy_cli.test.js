// Auth0's deploy CLI, which writes a tenant's configuration to files and makes a tenant what the files say: what it exports, it brings back
// after everything was deleted. A server of its own: the tenant is emptied.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { exportSPKI, generateKeyPair } from 'jose';
import * as oidc from 'openid-client';
import { startDoorward } from '../lib/doorward.js';
import { doorward, managementOf } from '../lib/setup.js';
import { claims } from '../lib/tokens.js';

/** What the tool knows and Doorward has; `docs/operations.md` says why the other types are not here. */
const TYPES = [
  'attackProtection', 'branding', 'clientAuthCredentials', 'clientGrants', 'clients', 'connections', 'emailProvider', 'emailTemplates',
  'guardianFactors', 'guardianFactorProviders', 'guardianFactorTemplates', 'guardianPhoneFactorMessageTypes',
  'guardianPhoneFactorSelectedProvider', 'guardianPolicies', 'logStreams', 'pages', 'resourceServers', 'roles', 'tenant',
];
const TOOL = path.join(import.meta.dirname, '..', 'node_modules', 'auth0-deploy-cli', 'lib', 'index.js');
const ORDERS = 'https://orders.example.com/';
const TEMPLATE = { enabled: true, from: 'shop@example.com', subject: 'Welcome', syntax: 'liquid', body: '<p>Hello {{ user.name }}</p>' };

let key, manager, other, scratch;

/** Runs the tool, which takes settings and the values of placeholders from its environment. */
async function deploy(command, options, settings = {}) {
  const { domain, m2m } = other.facts;
  const env = {
    PATH: process.env.PATH, HOME: scratch, NODE_EXTRA_CA_CERTS: other.ca, AUTH0_DOMAIN: domain, AUTH0_CLIENT_ID: m2m.client_id,
    AUTH0_CLIENT_SECRET: m2m.client_secret, AUTH0_INCLUDED_ONLY: JSON.stringify(TYPES), ...settings,
  };
  await promisify(execFile)(process.execPath, [TOOL, command, ...options], { env, cwd: scratch });
}

/** The folder of an export. */
async function exported(format, name) {
  const folder = path.join(scratch, name);
  await deploy('export', ['--format', format, '--output_folder', folder]);
  return folder;
}

/** The files under a folder, by name. */
function files(folder) {
  const names = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const read = names.map((entry) => path.join(entry.parentPath, entry.name));
  return Object.fromEntries(read.map((file) => [path.relative(folder, file), readFileSync(file, 'utf8')]).sort());
}

/** One thing of every kind, and no setting as it comes. */
async function furnish() {
  await manager.resourceServers.create({
    identifier: ORDERS, name: 'Orders', scopes: [{ value: 'read:orders', description: 'Read orders' }, { value: 'write:orders' }],
    signing_alg: 'RS256', enforce_policies: true, token_dialect: 'access_token_authz', allow_offline_access: true, token_lifetime: 600,
  });
  const shop = await manager.clients.create({
    name: 'Shop', description: 'Sells', app_type: 'regular_web', oidc_conformant: true, grant_types: ['authorization_code', 'refresh_token'],
    callbacks: ['https://shop.example.com/callback'], allowed_logout_urls: ['https://shop.example.com/'], client_metadata: { team: 'blue' },
    oidc_logout: { backchannel_logout_urls: ['https://shop.example.com/out'] }, jwt_configuration: { alg: 'RS256', lifetime_in_seconds: 300 },
    refresh_token: { rotation_type: 'rotating', expiration_type: 'expiring', leeway: 3, token_lifetime: 86400, idle_token_lifetime: 3600 },
  });
  const pem = await exportSPKI(key.publicKey);
  const worker = await manager.clients.create({
    name: 'Worker', app_type: 'non_interactive', grant_types: ['client_credentials'], oidc_conformant: true,
    client_authentication_methods: { private_key_jwt: { credentials: [{ credential_type: 'public_key', name: 'first', alg: 'RS256', pem }] } },
  });
  await manager.clientGrants.create({ client_id: worker.client_id, audience: ORDERS, scope: ['read:orders'] });
  const role = await manager.roles.create({ name: 'Packer', description: 'Packs' });
  await manager.roles.permissions.add(role.id, { permissions: [{ resource_server_identifier: ORDERS, permission_name: 'read:orders' }] });
  await manager.connections.create({
    name: 'email', strategy: 'email', enabled_clients: [shop.client_id], options: { totp: { length: 6, time_step: 300 }, email: { subject: 'Your code' } },
  });
  await manager.logStreams.create({
    name: 'Watch', type: 'http', sink: { httpEndpoint: 'https://logs.example.com/', httpContentType: 'application/json', httpContentFormat: 'JSONLINES' },
  });
  const credentials = { smtp_host: 'smtp.example.com', smtp_port: 587, smtp_user: 'shop', smtp_pass: 'secret' };
  await manager.emails.provider.create({ name: 'smtp', enabled: true, default_from_address: 'shop@example.com', credentials });
  await manager.emailTemplates.create({ template: 'welcome_email', ...TEMPLATE });
  await manager.tenants.settings.update({
    friendly_name: 'Example', support_email: 'help@example.com', session_lifetime: 100, idle_session_lifetime: 50,
    flags: { revoke_refresh_token_grant: true }, error_page: { html: '<p>Sorry</p>', show_log_link: true, url: '' },
  });
  await manager.branding.update({ colors: { primary: '#123456', page_background: '#ffffff' }, logo_url: 'https://shop.example.com/logo.png' });
  await manager.attackProtection.bruteForceProtection.update({ max_attempts: 7, allowlist: ['203.0.113.7'] });
  await manager.guardian.policies.set(['all-applications']);
  await manager.guardian.factors.set('email', { enabled: true });
  await manager.guardian.factors.sms.setTemplates({ enrollment_message: '{{code}} to enrol', verification_message: '{{code}} to verify' });
}

/** What the tenant holds beside what every tenant has. */
async function holds() {
  const names = async (list, name = 'name') => (await list).data.map((one) => one[name]).sort();
  const settings = await manager.tenants.settings.get();
  return {
    clients: await names(manager.clients.list({ is_global: false })),
    apis: await names(manager.resourceServers.list(), 'identifier'),
    connections: await names(manager.connections.list()),
    roles: await names(manager.roles.list()),
    streams: (await manager.logStreams.list()).map((one) => one.name),
    settings: [settings.friendly_name, settings.session_lifetime, settings.flags.revoke_refresh_token_grant, settings.error_page.html],
    colors: (await manager.branding.get()).colors,
    attempts: (await manager.attackProtection.bruteForceProtection.get()).max_attempts,
    policies: await manager.guardian.policies.list(),
  };
}

before(async () => {
  scratch = mkdtempSync(path.join(tmpdir(), 'doorward-deploy-'));
  other = await startDoorward({ data: path.join(scratch, 'data'), authority: doorward.data });
  manager = managementOf(other.facts);
  key = await generateKeyPair('RS256');
  await furnish();
});
after(async () => {
  await other?.stop();
  rmSync(scratch, { recursive: true, force: true });
});

test('what was exported comes back after it was deleted, as YAML and as directories', async () => {
  const [yaml, directory, whole] = [await exported('yaml', 'yaml'), await exported('directory', 'directory'), await holds()];

  const { issuer } = other.facts;
  const nothing = path.join(scratch, 'nothing.yaml');
  writeFileSync(path.join(scratch, 'nothing.html'), '<p>Nothing</p>');
  writeFileSync(nothing, `
clients: []
clientGrants: []
connections: []
roles: []
logStreams: []
resourceServers:
  - name: Auth0 My Account API
    identifier: ${issuer}me/
tenant: { friendly_name: Nothing, session_lifetime: 168, flags: { revoke_refresh_token_grant: false } }
pages: [{ name: error_page, html: ./nothing.html, show_log_link: false, url: '' }]
branding: { colors: { primary: '#000000', page_background: '#000000' } }
attackProtection: { bruteForceProtection: { enabled: true, max_attempts: 10, allowlist: [] } }
guardianPolicies: { policies: [] }
guardianFactors: [{ name: email, enabled: false }]
emailTemplates: [{ template: welcome_email, enabled: false, from: '', subject: Nothing, syntax: liquid, body: ./nothing.html }]
`);
  await deploy('import', ['--input_file', nothing], { AUTH0_ALLOW_DELETE: 'true' });
  assert.deepEqual(await holds(), {
    clients: ['Administration'], apis: [`${issuer}api/v2/`, `${issuer}me/`], connections: ['Username-Password-Authentication'], roles: [], streams: [],
    settings: ['Nothing', 168, false, '<p>Nothing</p>'], colors: { primary: '#000000', page_background: '#000000' }, attempts: 10, policies: [],
  });

  // What is secret was not exported: placeholders are in its place, and a client's key is to be given.
  const worker = path.join(directory, 'clients', 'Worker.json');
  const given = readFileSync(worker, 'utf8').replace('"name": "first"', '"name": "first", "pem": @@WORKER_KEY@@');
  writeFileSync(worker, given);
  const secrets = { SMTP_USER: 'shop', SMTP_PASS: 'secret', WORKER_KEY: await exportSPKI(key.publicKey) };
  await deploy('import', ['--input_file', directory], secrets);
  assert.deepEqual(await holds(), whole);
  assert.deepEqual(files(await exported('yaml', 'again')), files(yaml));

  // A client that came back gets a token with its key.
  const [{ client_id: id }] = (await manager.clients.list({ is_global: false })).data.filter((one) => one.name === 'Worker');
  const config = await oidc.discovery(new URL(other.facts.issuer), id, {}, oidc.PrivateKeyJwt(key.privateKey));
  const tokens = await oidc.clientCredentialsGrant(config, { audience: ORDERS });
  assert.deepEqual([claims(tokens.access_token).sub, tokens.scope], [`${id}@clients`, 'read:orders']);
});
