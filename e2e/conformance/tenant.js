// Makes the tenant that the plans are run against: strict clients, one person, and an API whose tokens are bound to keys.
import { exportJWK, exportSPKI, generateKeyPair } from 'jose';

/** The person that signs in. */
export const PERSON = { email: 'conformance@example.com', password: 'Correct-Horse-Battery-9!' };

/** A person that consents to nothing. */
export const OTHER = { email: 'other@example.com', password: 'Correct-Horse-Battery-9!' };

/** Calls the Management API of `server`. */
async function managing(server) {
  const { client_id, client_secret, audience } = server.machine;
  const asked = { grant_type: 'client_credentials', client_id, client_secret, audience };
  const { access_token: token } = await call(`${server.issuer}oauth/token`, 'POST', asked);
  return (method, path, body) => call(`${audience}${path}`, method, body, token);
}

async function call(url, method, body, token) {
  const headers = { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}) };
  const response = await fetch(url, { method, headers, body: body && JSON.stringify(body) });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${url}: ${response.status} ${text}`);
  return text ? JSON.parse(text) : undefined;
}

const CALLBACKS = ['callback', 'callback?dummy1=lorem&dummy2=ipsum'];

/** Sets the tenant up for the pages of the suite at `test` (`https://…/test/a/ALIAS`), and says what the suite must know. */
export async function makeTenant(server, test) {
  const manage = await managing(server);
  await manage('PATCH', 'doorward/protocol', { strict: true, strict_registration: true });
  await manage('PATCH', 'tenants/settings', {
    flags: { enable_dynamic_client_registration: true },
    pushed_authorization_requests_supported: true,
    oidc_logout: { rp_logout_end_session_endpoint_discovery: true },
  });
  const [connection] = await manage('GET', 'connections?name=Username-Password-Authentication');
  await manage('PATCH', `connections/${connection.id}`, { is_domain_connection: true });
  for (const person of [PERSON, OTHER]) {
    await manage('POST', 'users', {
      ...person,
      connection: connection.name,
      email_verified: true,
      name: 'Conny Formance',
      given_name: 'Conny',
      family_name: 'Formance',
      nickname: 'conny',
      picture: 'https://example.com/conny.png',
    });
  }

  const makeClient = async (name, extra) => {
    const client = await manage('POST', 'clients', {
      name,
      app_type: 'regular_web',
      oidc_conformant: true,
      is_first_party: true,
      token_endpoint_auth_method: 'client_secret_basic',
      grant_types: ['authorization_code', 'implicit', 'refresh_token'],
      jwt_configuration: { alg: 'RS256' },
      callbacks: CALLBACKS.map((page) => `${test}/${page}`),
      allowed_logout_urls: [`${test}/post_logout_redirect`],
      ...extra,
    });
    await manage('PATCH', `connections/${connection.id}/clients`, [{ client_id: client.client_id, status: true }]);
    return client;
  };
  const known = ({ client_id, client_secret }) => ({ client_id, client_secret });
  const keyed = async (name, extra, signsRequests = false) => {
    const { publicKey, privateKey } = await generateKeyPair('PS256', { extractable: true });
    const credential = { credential_type: 'public_key', name, alg: 'PS256', pem: await exportSPKI(publicKey) };
    const client = await makeClient(name, {
      token_endpoint_auth_method: undefined,
      client_authentication_methods: { private_key_jwt: { credentials: [credential] } },
      ...(signsRequests ? { signed_request_object: { required: true, credentials: [credential] } } : {}),
      ...extra,
    });
    const protocol = { fapi2_security_profile: true, ...(signsRequests ? { authorization_signed_response_alg: 'PS256' } : {}) };
    await manage('PATCH', `doorward/clients/${client.client_id}`, protocol);
    const [{ id }] = client.client_authentication_methods.private_key_jwt.credentials;
    const [{ kid }] = (await manage('GET', `clients/${client.client_id}/credentials`)).filter((one) => one.id === id);
    const jwk = { ...(await exportJWK(privateKey)), alg: 'PS256', use: 'sig', kid };
    return { client_id: client.client_id, scope: 'openid email offline_access', jwks: { keys: [jwk] } };
  };
  // Whoever signs in is asked for consent, and may deny it.
  const bound = {
    is_first_party: false,
    grant_types: ['authorization_code', 'refresh_token'],
    jwt_configuration: { alg: 'PS256' },
  };
  return {
    first: known(await makeClient('First')),
    second: known(await makeClient('Second')),
    posting: known(await makeClient('Posting', { token_endpoint_auth_method: 'client_secret_post' })),
    financial: [await keyed('Financial 1', bound), await keyed('Financial 2', bound)],
    signing: [await keyed('Signing 1', bound, true), await keyed('Signing 2', bound, true)],
    manage,
  };
}
