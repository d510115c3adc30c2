// The other server: node's oidc-provider, certified for OpenID Connect, with the same clients and one person.
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import Provider from 'oidc-provider';
import { freePort } from '../lib/machine.js';
import { CALLBACK } from './requests.js';

const TYPES = ['code', 'id_token', 'id_token token', 'code id_token', 'code token', 'code id_token token', 'none'];

/** Starts it: `issuer`, `endpoints`, `clients` and how a person signs in there. */
export async function startProvider() {
  const port = await freePort();
  const issuer = `http://localhost:${port}`;
  const users = { grant_types: ['authorization_code', 'implicit', 'refresh_token'], redirect_uris: [CALLBACK], post_logout_redirect_uris: ['https://app.example.com/after'] };
  const secret = () => randomBytes(24).toString('base64url');
  const clients = [
    { client_id: 'web', client_secret: secret(), ...users, response_types: TYPES, token_endpoint_auth_method: 'client_secret_basic' },
    { client_id: 'post', client_secret: secret(), ...users, response_types: TYPES, token_endpoint_auth_method: 'client_secret_post' },
    { client_id: 'page', ...users, response_types: TYPES, token_endpoint_auth_method: 'none' },
    { client_id: 'machine', client_secret: secret(), grant_types: ['client_credentials'], redirect_uris: [], response_types: [] },
  ];
  const provider = new Provider(issuer, {
    clients,
    responseTypes: TYPES,
    scopes: ['openid', 'offline_access'],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
    features: {
      devInteractions: { enabled: true },
      clientCredentials: { enabled: true },
      revocation: { enabled: true },
      pushedAuthorizationRequests: { enabled: true },
      claimsParameter: { enabled: true },
      dPoP: { enabled: true },
      jwtResponseModes: { enabled: true },
      rpInitiatedLogout: { enabled: true },
      requestObjects: { enabled: false },
    },
    cookies: { keys: [secret()], long: { sameSite: 'none' } },
    rotateRefreshToken: true,
    enableHttpPostMethods: true,
    allowOmittingSingleRegisteredRedirectUri: false,
    issueRefreshToken: async (_, client, code) => client.grantTypeAllowed('refresh_token') && code.scopes.has('offline_access'),
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, email: `${id}@example.com`, email_verified: true, name: id }) }),
  });
  provider.on('server_error', (_, error) => console.error(error));
  const server = createServer(provider.callback());
  await new Promise((resolve) => server.listen(port, 'localhost', resolve));
  return {
    name: 'oidc-provider',
    origin: issuer,
    endpoints: {
      authorize: `${issuer}/auth`, token: `${issuer}/token`, userinfo: `${issuer}/me`, par: `${issuer}/request`, revoke: `${issuer}/token/revocation`, logout: `${issuer}/session/end`,
    },
    clients: Object.fromEntries(clients.map((client) => [client.client_id, client])),
    login: (person) => ({ login: person, password: 'any' }),
    people: ['alice', 'bob'],
    stop: () => new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    }),
  };
}
