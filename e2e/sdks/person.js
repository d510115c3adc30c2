// The person on the other side of what the clients ask for, without a browser: signs in on the hosted pages, lets devices
// and apps in, and reads letters. Run by run.js, which passes `SDKS` (the server's facts); says `ready ORIGIN CLIENT` once
// it listens, where CLIENT is a confidential app of its own with every grant that the clients try.
//
//   POST /sign-in   {address, email, password, user_code?}  → {address} where the browser was sent in the end, or {text}
//   POST /answer    {email, password}                       → {text} after saying yes to what an app asks for elsewhere
//   POST /letter    {to, kind}                              → {text}
import { createServer } from 'node:http';
import { letterTo } from '../lib/doorward.js';

const { domain, issuer, m2m, tools } = JSON.parse(process.env.SDKS);
const CALLBACK = 'https://app.example.com/callback';
const GRANTS = [
  'authorization_code', 'refresh_token', 'password', 'client_credentials', 'http://auth0.com/oauth/grant-type/password-realm',
  'http://auth0.com/oauth/grant-type/passwordless/otp', 'urn:ietf:params:oauth:grant-type:device_code', 'urn:openid:params:grant-type:ciba',
];

async function call(method, where, token, body) {
  const answer = await fetch(`${issuer}${where}`, {
    method, body: JSON.stringify(body),
    headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${where} answered ${answer.status}: ${text}`);
  return text ? JSON.parse(text) : null;
}

/** An app whose users sign in by password or by a mailed code. */
async function app() {
  const { access_token: token } = await call('POST', 'oauth/token', null, { ...m2m, grant_type: 'client_credentials', audience: `${issuer}api/v2/` });
  const client = await call('POST', 'api/v2/clients', token, {
    name: 'From other languages', app_type: 'regular_web', oidc_conformant: true, grant_types: GRANTS, callbacks: [CALLBACK],
    token_endpoint_auth_method: 'client_secret_post', jwt_configuration: { alg: 'RS256' },
  });
  const [passwords] = await call('GET', 'api/v2/connections?strategy=auth0', token);
  await call('PATCH', `api/v2/connections/${passwords.id}/clients`, token, [{ client_id: client.client_id, status: true }]);
  await call('POST', 'api/v2/connections', token, { name: 'email', strategy: 'email', enabled_clients: [client.client_id] });
  await call('PATCH', 'api/v2/tenants/settings', token, { default_directory: passwords.name, pushed_authorization_requests_supported: true });
  return client;
}

const attributes = (tag) => Object.fromEntries([...tag.matchAll(/([\w-]+)="([^"]*)"/g)].map(([, name, value]) => [name, value.replaceAll('&amp;', '&').replaceAll('&#38;', '&')]));

/** Follows `address` as a browser without JavaScript does, filling in forms and saying yes. */
async function follow(address, person, jar = new Map()) {
  let [where, fields] = [address, null];
  for (let steps = 0; steps < 20; steps += 1) {
    const answer = await fetch(where, {
      method: fields ? 'POST' : 'GET', redirect: 'manual', body: fields && new URLSearchParams(fields),
      headers: { cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; '), ...(fields && { origin: issuer.slice(0, -1) }) },
    });
    for (const cookie of answer.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(cookie);
      jar.set(name, value);
    }
    if (answer.status >= 300 && answer.status < 400) {
      where = new URL(answer.headers.get('location'), where).href;
      fields = null;
      if (new URL(where).host !== domain) return { address: where };
      continue;
    }
    const html = await answer.text();
    if (answer.status !== 200) throw new Error(`${where} answered ${answer.status}: ${html}`);
    const form = /<form\b[^>]*>[^]*?<\/form>/.exec(html)?.[0];
    if (!form) return { text: html.replace(/<(style|script)\b[^]*?<\/\1>/g, '').replace(/<[^>]*>/g, ' ').replace(/\s+/g, ' ').trim() };
    where = new URL(attributes(/<form\b[^>]*>/.exec(form)[0]).action, where).href;
    fields = {};
    for (const [tag] of form.matchAll(/<input\b[^>]*>/g)) {
      const { name, value = '' } = attributes(tag);
      if (name) fields[name] = { username: person.email, password: person.password, user_code: person.user_code }[name] ?? value;
    }
    const [button] = /<button\b[^>]*name="action"[^>]*>/.exec(form) ?? [];
    if (button) fields.action = attributes(button).value;
  }
  throw new Error(`${address} does not end`);
}

const DEEDS = {
  '/sign-in': ({ address, ...person }) => follow(address, person),
  '/answer': async (person) => {
    const jar = new Map();
    const query = new URLSearchParams({ client_id: client.client_id, response_type: 'code', redirect_uri: CALLBACK, scope: 'openid', state: 's' });
    await follow(`${issuer}authorize?${query}`, person, jar);
    return follow(`${issuer}u/authorization-requests`, person, jar);
  },
  '/letter': async ({ to, kind }) => ({ text: (await letterTo(tools, to, kind)).text }),
};

const client = await app();
const server = createServer(async (request, response) => {
  let text = '';
  for await (const chunk of request) text += chunk;
  let [status, body] = [200, null];
  try {
    body = await DEEDS[request.url](JSON.parse(text));
  } catch (error) {
    [status, body] = [500, { error: error.stack }];
  }
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
});
server.listen(0, '127.0.0.1', () => {
  console.log(`ready http://127.0.0.1:${server.address().port} ${JSON.stringify({ client_id: client.client_id, client_secret: client.client_secret })}`);
});
