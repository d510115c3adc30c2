// Sends one request to one server and says in few words what came of it, so that the answers of two servers can be compared.
import { CALLBACK, encode, NEEDED } from './requests.js';

const FORM = 'application/x-www-form-urlencoded';

/** A browser without scripts: it keeps cookies, and fills the forms of the pages on its way. */
export class Visitor {
  #cookies = new Map();

  constructor(server) {
    this.server = server;
  }

  async fetch(url, options = {}) {
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const headers = { ...options.headers, ...(cookie ? { cookie } : {}) };
    const response = await fetch(url, { redirect: 'manual', ...options, headers });
    for (const line of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
      this.#cookies.set(name, value);
    }
    return response;
  }

  /** Follows redirects and fills forms until the app is reached; the parameters that it gets. */
  async reach(url, person) {
    let response = await this.fetch(url);
    for (let step = 0; step < 12; step += 1) {
      const location = response.headers.get('location');
      if (location) {
        const next = new URL(location, url);
        if (next.href.startsWith(CALLBACK)) return parameters(next);
        url = next.href;
        response = await this.fetch(url);
        continue;
      }
      const page = await response.text();
      const form = /<form[^>]*method="post"[^>]*>/i.exec(page)?.[0];
      if (!form) throw new Error(`${this.server.name}: a page without a form at ${url}: ${response.status} ${page.slice(0, 600)}`);
      const action = /action="([^"]*)"/.exec(form)?.[1].replaceAll('&amp;', '&') ?? url;
      const hidden = [...page.matchAll(/<input[^>]*type="hidden"[^>]*>/g)].map(([input]) => [/name="([^"]*)"/.exec(input)[1], /value="([^"]*)"/.exec(input)?.[1] ?? '']);
      const consents = page.includes('value="accept"') ? { action: 'accept' } : { action: 'default' };
      const fields = { ...Object.fromEntries(hidden), ...consents, ...this.server.login(person) };
      url = new URL(action, url).href;
      response = await this.fetch(url, { method: 'POST', headers: { 'content-type': FORM }, body: encode(fields) });
    }
    throw new Error(`${this.server.name}: the app was never reached from ${url}`);
  }
}

function parameters(url) {
  return Object.fromEntries(new URLSearchParams(url.hash ? url.hash.slice(1) : url.search));
}

/** What a request needs, obtained from the server: the words that stand for it. */
async function obtain(server, visitor, request) {
  const [person, other] = server.people;
  const words = {};
  for (const [name, { client_id, client_secret }] of Object.entries(server.clients)) {
    words[`$${name}_secret`] = client_secret;
    words[`$${name}`] = client_id;
  }
  const filled = (changes) => fill(encode({ ...NEEDED.authorize, ...changes }), words, true);
  const redeem = async (code) => {
    const headers = { 'content-type': FORM, authorization: basic(server.clients.web) };
    const response = await fetch(server.endpoints.token, { method: 'POST', headers, body: encode({ ...NEEDED.code, code }) });
    const body = await response.json();
    if (!body.access_token) throw new Error(`${server.name}: no token for ${request.name}: ${JSON.stringify(body)}`);
    return body;
  };
  const { needs = {}, session } = request;
  if (session || request.query?.includes('%24id_token')) {
    const back = await visitor.reach(`${server.endpoints.authorize}?${filled({})}`, person);
    words.$id_token = (await redeem(back.code)).id_token;
  }
  if (request.query?.includes('%24foreign')) {
    const back = await new Visitor(server).reach(`${server.endpoints.authorize}?${filled({})}`, other);
    words.$foreign = (await redeem(back.code)).id_token;
  }
  if (needs.code) words.$code = (await visitor.reach(`${server.endpoints.authorize}?${filled(needs.code)}`, person)).code;
  if (needs.tokens || needs.refresh) {
    const back = await visitor.reach(`${server.endpoints.authorize}?${filled(NEEDED.offline)}`, person);
    const { access_token, id_token, refresh_token } = await redeem(back.code);
    Object.assign(words, { $access_token: access_token, $id_token: id_token, $refresh: refresh_token });
  }
  if (needs.pushed) {
    const headers = { 'content-type': FORM, authorization: basic(server.clients.web) };
    const response = await fetch(server.endpoints.par, { method: 'POST', headers, body: filled(needs.pushed) });
    words.$request_uri = (await response.json()).request_uri;
  }
  return words;
}

function basic({ client_id, client_secret }) {
  return `Basic ${Buffer.from(`${encodeURIComponent(client_id)}:${encodeURIComponent(client_secret)}`).toString('base64')}`;
}

/** `text` with the values of its words, the longest first: one may begin as another does. */
function fill(text, words, encoded = false) {
  const names = Object.keys(words).sort((a, b) => b.length - a.length);
  return names.reduce((text, name) => {
    const value = encoded ? encodeURIComponent(words[name]) : words[name];
    return text.replaceAll(name, () => value).replaceAll(encodeURIComponent(name), () => value);
  }, text);
}

function headersOf(request, words) {
  const headers = {};
  for (const [name, value] of Object.entries(request.headers ?? {})) {
    if (Array.isArray(value)) {
      const [client_id, client_secret] = value.slice(1).map((word) => fill(word, words));
      headers[name] = basic({ client_id, client_secret });
    } else {
      headers[name] = fill(value, words);
    }
  }
  return headers;
}

/** Sends the request, and says what came of it. */
export async function outcome(server, request) {
  const visitor = new Visitor(server);
  const words = await obtain(server, visitor, request);
  const method = request.method ?? 'GET';
  const headers = headersOf(request, words);
  let url = server.endpoints[request.kind];
  let body;
  if (request.kind === 'authorize' && method === 'POST' && !request.body) body = fill(request.query, words, true);
  else if (request.query) url += `?${fill(request.query, words, true)}`;
  if (request.form !== undefined) body = fill(request.form, words, true);
  if (request.body) body = request.body;
  if (body !== undefined) headers['content-type'] = request.type ?? FORM;
  const send = () => visitor.fetch(url, { method, headers, body });
  if (request.twice) await (await send()).text();
  return told(server, request, await send());
}

async function told(server, request, response) {
  const text = await response.text();
  const location = response.headers.get('location');
  if (request.kind === 'authorize' || request.kind === 'logout') {
    if (location) return redirected(server, new URL(location, server.origin));
    if (/action="https:\/\/app\.example\.com\/cb"/.test(text)) {
      const names = [...text.matchAll(/<input[^>]*name="([^"]*)"[^>]*value="([^"]*)"/g)].map(([, name, value]) => [name, value]);
      return handed('form', Object.fromEntries(names));
    }
    if (response.status >= 400) return 'a page that says no';
    return /<form/.test(text) ? 'a page that asks' : 'a page';
  }
  let json;
  try {
    json = JSON.parse(text);
  } catch {
    json = {};
  }
  const challenge = /error="([^"]*)"/.exec(response.headers.get('www-authenticate') ?? '')?.[1];
  const error = json.error ?? challenge;
  if (response.status >= 400) return [response.status, request.kind === 'userinfo' ? challenge : error].filter(Boolean).join(' ');
  return [response.status, Object.keys(json).filter((name) => !name.startsWith('_')).sort().join(', ')].filter(Boolean).join(' ');
}

function redirected(server, url) {
  if (url.href.startsWith(CALLBACK)) return handed(url.hash ? 'fragment' : 'query', parameters(url));
  if (url.href.startsWith('https://app.example.com/')) return `the app at ${url.pathname}${url.search}`;
  return url.origin === new URL(server.origin).origin ? 'a page that asks' : `elsewhere: ${url.origin}`;
}

function handed(where, parameters) {
  const { error } = parameters;
  return error ? `${where}: ${error}` : `${where}: ${Object.keys(parameters).sort().join(', ')}`;
}
