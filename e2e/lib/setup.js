// What every test file starts from: the running server, a Management API client, people and apps of its own.
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { ManagementClient } from 'auth0';

/** The running server: `domain`, `issuer`, `m2m`, `spa`, `users`, and files of the development CA. */
export const doorward = JSON.parse(readFileSync(process.env.DOORWARD_E2E ?? fail(), 'utf8'));

/** The identifier of the Management API. */
export const MANAGEMENT = `${doorward.issuer}api/v2/`;

/** The Node SDK on a server, as the machine client that may do everything there. */
export function managementOf({ domain, m2m }) {
  return new ManagementClient({ domain, clientId: m2m.client_id, clientSecret: m2m.client_secret });
}

/** The Node SDK on the server that all files share. */
export const management = managementOf(doorward);

/** A database user nobody else uses; `password` is theirs. */
export async function newUser(extra = {}) {
  const email = `${word()}@example.com`;
  const password = `Correct-Horse-${word()}!`;
  const user = await management.users.create({ connection: CONNECTION, email, password, email_verified: true, ...extra });
  return { ...user, password };
}

/** A single-page app's client for pages at `origin`, enabled for the database connection. */
export async function newApp(origin, pages, extra = {}) {
  const client = await management.clients.create({
    name: `App ${word()}`,
    app_type: 'spa',
    token_endpoint_auth_method: 'none',
    oidc_conformant: true,
    grant_types: ['authorization_code', 'implicit', 'refresh_token'],
    jwt_configuration: { alg: 'RS256' },
    callbacks: pages.map((page) => `${origin}${page}`),
    web_origins: [origin],
    allowed_logout_urls: pages.map((page) => `${origin}${page}`),
    ...extra,
  });
  await enable(client.client_id);
  return client;
}

/** Lets a client's users sign in with a password. */
export async function enable(clientId) {
  await management.connections.clients.update(await connectionId(), [{ client_id: clientId, status: true }]);
}

/** An API of its own that gives refresh tokens and asks first-party apps for no consent. */
export function newApi(extra = {}) {
  const name = word();
  return management.resourceServers.create({
    name: `API ${name}`,
    identifier: `https://${name}.example.com/`,
    scopes: [{ value: 'read:things', description: 'Read things' }, { value: 'write:things', description: 'Write things' }],
    allow_offline_access: true,
    skip_consent_for_verifiable_first_party_clients: true,
    ...extra,
  });
}

/** The name of the connection every tenant starts with. */
export const CONNECTION = 'Username-Password-Authentication';

let known;
async function connectionId() {
  known ??= (await management.connections.list({ name: CONNECTION })).data[0].id;
  return known;
}

/** Letters that no other test has. */
export function word() {
  return `t${randomBytes(6).toString('hex')}`;
}

function fail() {
  console.error('Run these tests with `node run.js`: it starts the server they talk to.');
  process.exit(1);
}
