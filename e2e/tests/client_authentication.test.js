// openid-client with every way in which a client proves itself, each a real token; certificates at a server that asks for them.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { exportSPKI, generateKeyPair } from 'jose';
import * as oidc from 'openid-client';
import { serveApp } from '../lib/app.js';
import { launch, signIn, visitor } from '../lib/browser.js';
import { startServer } from '../lib/doorward.js';
import { doorward, enable, management, managementOf, newApi, newApp, newUser, word } from '../lib/setup.js';
import { claims, verified } from '../lib/tokens.js';

const issuer = new URL(doorward.issuer);
const WRONG = (error) => error.status === 401;
let api;

before(async () => {
  api = await newApi();
});

/** A machine's client that may read things, on any server. */
async function machine(manager, audience, body) {
  const client = await manager.clients.create({ name: `Machine ${word()}`, app_type: 'non_interactive', grant_types: ['client_credentials'], ...body });
  await manager.clientGrants.create({ client_id: client.client_id, audience, scope: ['read:things'] });
  return client;
}

/** Gets a token by `how`, and nothing by `wrongly`. */
async function proves(client, how, wrongly) {
  const config = await oidc.discovery(issuer, client.client_id, {}, how);
  const tokens = await oidc.clientCredentialsGrant(config, { audience: api.identifier });
  const token = await verified(tokens.access_token, { audience: api.identifier });
  assert.deepEqual([token.claims.sub, token.claims.scope], [`${client.client_id}@clients`, 'read:things']);
  const impostor = await oidc.discovery(issuer, client.client_id, {}, wrongly);
  await assert.rejects(oidc.clientCredentialsGrant(impostor, { audience: api.identifier }), WRONG);
}

for (const [method, by] of [
  ['client_secret_basic', oidc.ClientSecretBasic],
  ['client_secret_post', oidc.ClientSecretPost],
  ['client_secret_post', oidc.ClientSecretJwt],
]) {
  test(`${by.name}: a secret`, async () => {
    const client = await machine(management, api.identifier, { token_endpoint_auth_method: method });
    await proves(client, by(client.client_secret), by(`${client.client_secret}x`));
  });
}

for (const alg of ['RS256', 'RS384', 'PS256']) {
  test(`PrivateKeyJwt: a key, ${alg}`, async () => {
    const [own, other] = [await generateKeyPair(alg), await generateKeyPair(alg)];
    const credential = { credential_type: 'public_key', name: 'first', alg, pem: await exportSPKI(own.publicKey) };
    const client = await machine(management, api.identifier, {
      client_authentication_methods: { private_key_jwt: { credentials: [credential] } },
    });
    const [{ id }] = client.client_authentication_methods.private_key_jwt.credentials;
    const { kid } = await management.clients.credentials.get(client.client_id, id);
    await proves(client, oidc.PrivateKeyJwt({ key: own.privateKey, kid }), oidc.PrivateKeyJwt({ key: other.privateKey, kid }));
  });
}

test('None: a public client is who has the verifier', async () => {
  const [app, browser, user] = [await serveApp(), await launch(), await newUser()];
  try {
    const home = `${app.origin}/callback.html`;
    const client = await newApp(app.origin, ['/callback.html']);
    const config = await oidc.discovery(issuer, client.client_id, {}, oidc.None());
    const verifier = oidc.randomPKCECodeVerifier();
    const url = oidc.buildAuthorizationUrl(config, {
      redirect_uri: home, scope: 'openid offline_access', audience: api.identifier, state: 's',
      code_challenge: await oidc.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256',
    });
    const page = await visitor(browser);
    await page.goto(url.href);
    await signIn(page, user, home);
    const tokens = await oidc.authorizationCodeGrant(config, new URL(page.url()), { pkceCodeVerifier: verifier, expectedState: 's' });
    assert.equal(tokens.claims().sub, user.user_id);
    const renewed = await oidc.refreshTokenGrant(config, tokens.refresh_token);
    assert.equal(claims(renewed.access_token).sub, user.user_id);
  } finally {
    await browser.close();
    await app.close();
  }
});

/** A certificate and its key in files of `directory`: signed by `authority` if there is one, else by itself. */
function certificate(directory, name, authority) {
  const [keyFile, file] = [path.join(directory, `${name}-key.pem`), path.join(directory, `${name}.pem`)];
  const [config, by] = [path.join(directory, 'openssl.cnf'), authority ? ['-CA', authority.file, '-CAkey', authority.keyFile] : []];
  const extensions = `basicConstraints = critical, CA:${name === 'authority' ? 'TRUE' : 'FALSE'}`;
  writeFileSync(config, `[req]\ndistinguished_name = dn\nx509_extensions = v3\n[dn]\n[v3]\n${extensions}\n`);
  execFileSync('openssl', [
    'req', '-x509', '-config', config, ...by, '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', `/CN=${name}.example.com`,
    '-keyout', keyFile, '-out', file,
  ], { stdio: 'pipe' });
  return { file, keyFile, cert: readFileSync(file, 'utf8'), key: readFileSync(keyFile, 'utf8') };
}

/** What openid-client fetches with, over connections that show a certificate. */
function showing({ cert, key }) {
  const agent = new Agent({ cert, key });
  return (url, { method, headers, body }) => new Promise((resolve, reject) => {
    const sent = request(url, { agent, method, headers: Object.fromEntries(new Headers(headers)) }, (answer) => {
      const parts = [];
      answer.on('data', (part) => parts.push(part));
      answer.on('end', () => resolve(new Response(Buffer.concat(parts), { status: answer.statusCode, headers: answer.headers })));
    });
    sent.on('error', reject);
    sent.end(body?.toString());
  });
}

test('TlsClientAuth: a certificate by its name or by itself, and tokens that are bound to it', async () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'doorward-mtls-'));
  const authority = certificate(directory, 'authority');
  const [named, known] = [certificate(directory, 'named', authority), certificate(directory, 'known')];
  const server = await startServer({
    directory, certificate: doorward.certificate, key: doorward.key,
    tls: `client_certificates = true\nclient_authorities = "${authority.file}"`,
  });
  try {
    const manager = managementOf(server);
    await manager.tenants.settings.update({ mtls: { enable_endpoint_aliases: true } });
    const things = await manager.resourceServers.create({
      name: 'Things', identifier: 'https://things.example.com/', scopes: [{ value: 'read:things' }],
      proof_of_possession: { mechanism: 'mtls', required: true },
    });
    const clients = [
      [named, 'tls_client_auth', { credential_type: 'cert_subject_dn', name: 'by name', subject_dn: 'CN=named.example.com' }],
      [known, 'self_signed_tls_client_auth', { credential_type: 'x509_cert', name: 'itself', pem: known.cert }],
    ];
    for (const [shown, method, credential] of clients) {
      const client = await machine(manager, things.identifier, { client_authentication_methods: { [method]: { credentials: [credential] } } });
      const config = (fetched) => oidc.discovery(new URL(server.issuer), client.client_id, { use_mtls_endpoint_aliases: true }, oidc.TlsClientAuth(), {
        [oidc.customFetch]: fetched,
      });
      const right = await config(showing(shown));
      assert.ok(right.serverMetadata().mtls_endpoint_aliases.token_endpoint);
      const tokens = await oidc.clientCredentialsGrant(right, { audience: things.identifier });
      const thumbprint = createHash('sha256').update(new X509Certificate(shown.cert).raw).digest('base64url');
      assert.deepEqual(claims(tokens.access_token).cnf, { 'x5t#S256': thumbprint }, method);
      for (const wrong of [showing(shown === named ? known : named), fetch]) {
        await assert.rejects(oidc.clientCredentialsGrant(await config(wrong), { audience: things.identifier }), WRONG, method);
      }
    }
  } finally {
    await server.stop();
    rmSync(directory, { recursive: true, force: true });
  }
});
