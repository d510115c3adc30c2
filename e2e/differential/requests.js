// The odd requests: each is sent to both servers as it stands. `$web` and the like stand for a client, `$code` and the like for something
// that the server gave just before.

/** The redirect URI of every client. */
export const CALLBACK = 'https://app.example.com/cb';

const VERIFIER = 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk';
const CHALLENGE = 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM';
const UNSIGNED = 'eyJhbGciOiJub25lIn0.eyJyZXNwb25zZV90eXBlIjoiY29kZSJ9.';
const PKCE = { code_challenge: CHALLENGE, code_challenge_method: 'S256' };
const BASE = { client_id: '$web', response_type: 'code', redirect_uri: CALLBACK, scope: 'openid', state: 'st', nonce: 'n' };
const PAGE = { ...BASE, client_id: '$page' };

/** Parameters as they are encoded: an array is a parameter that comes several times, and null one that does not come. */
export function encode(parameters) {
  const pairs = Object.entries(parameters).flatMap(([name, value]) => (value === null ? [] : [value].flat().map((one) => [name, one])));
  return pairs.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`).join('&');
}

const authorize = (name, changes, more = {}) => ({ kind: 'authorize', name: `authorize: ${name}`, query: encode({ ...BASE, ...changes }), ...more });
const raw = (name, suffix) => ({ kind: 'authorize', name: `authorize: ${name}`, query: `${encode(BASE)}${suffix}` });
const known = (name, changes) => authorize(`signed in, ${name}`, changes, { session: true });

const AUTHORIZE = [
  authorize('as it should be', {}),
  authorize('no client', { client_id: null }),
  authorize('an unknown client', { client_id: 'nobody' }),
  authorize('an empty client', { client_id: '' }),
  authorize('the client twice', { client_id: ['$web', '$web'] }),
  authorize('two clients', { client_id: ['$web', '$page'] }),
  authorize('a client that has no users', { client_id: '$machine' }),
  authorize('no redirect URI', { redirect_uri: null }),
  authorize('no redirect URI and no openid', { redirect_uri: null, scope: null }),
  authorize('an empty redirect URI', { redirect_uri: '' }),
  ...[
    ['a slash too many', `${CALLBACK}/`], ['a query', `${CALLBACK}?a=b`], ['a fragment', `${CALLBACK}#a`], ['capitals in the host', 'https://APP.example.com/cb'],
    ['http', 'http://app.example.com/cb'], ['another host', 'https://evil.example.net/cb'], ['a user before the host', 'https://app.example.com@evil.example.net/cb'],
    ['dots in the path', 'https://app.example.com/x/../cb'], ['an escaped letter', 'https://app.example.com/%63b'], ['a port', 'https://app.example.com:443/cb'],
    ['a path alone', '/cb'], ['a script', 'javascript:alert(1)'], ['a backslash', 'https://app.example.com\\@evil.example.net/cb'],
  ].map(([name, redirect_uri]) => authorize(`redirect URI with ${name}`, { redirect_uri })),
  authorize('the redirect URI twice', { redirect_uri: [CALLBACK, CALLBACK] }),
  authorize('no response type', { response_type: null }),
  authorize('an empty response type', { response_type: '' }),
  ...['foo', 'token', 'id_token', 'code token', 'code id_token', 'id_token token', 'token id_token', 'code id_token token', 'none', 'code code', ' code', 'CODE', 'code  token', 'code,token']
    .map((response_type) => authorize(`response type "${response_type}"`, { response_type })),
  ...['code', 'id_token', 'code id_token', 'code token', 'code id_token token'].map((response_type) => authorize(`no nonce for "${response_type}"`, { response_type, nonce: null })),
  authorize('the response type twice', { response_type: ['code', 'code'] }),
  ...[['query', 'id_token'], ['query', 'code token'], ['fragment', 'code'], ['form_post', 'code'], ['form_post', 'id_token'], ['foo', 'code'], ['', 'code'], ['jwt', 'code'], ['query.jwt', 'id_token']]
    .map(([response_mode, response_type]) => authorize(`response mode "${response_mode}" for ${response_type}, and prompt none`, { response_mode, response_type, prompt: 'none' })),
  ...[['missing', null], ['empty', ''], ['without openid', 'profile'], ['with one that is unknown', 'openid foo'], ['twice openid', 'openid openid'], ['in capitals', 'OPENID'], ['with quotes', 'openid "a"'],
    ['offline_access', 'openid offline_access'], ['all that there are', 'openid profile email']].map(([name, scope]) => authorize(`scope ${name}`, { scope })),
  authorize('scope without openid for an ID token', { scope: 'profile', response_type: 'id_token' }),
  authorize('the scope twice', { scope: ['openid', 'openid'] }),
  ...[['none', null], ['an empty one', ''], ['a long one', 'a'.repeat(1500)], ['one of other letters', 'ä€😀'], ['markup', '"><script>'], ['twice', ['a', 'a']]]
    .map(([name, state]) => authorize(`state: ${name}, and prompt none`, { state, prompt: 'none' })),
  ...[['an empty one', ''], ['twice', ['a', 'b']], ['a long one', 'n'.repeat(1500)]].map(([name, nonce]) => authorize(`nonce: ${name}`, { nonce })),
  ...['none', 'login', 'consent', 'select_account', 'none login', 'foo', 'login consent', '', 'NONE', 'login foo'].map((prompt) => authorize(`prompt "${prompt}"`, { prompt })),
  authorize('prompt twice', { prompt: ['none', 'login'] }),
  ...['0', '10', '-1', 'abc', '1.5', '99999999999999999999', ''].map((max_age) => authorize(`max_age "${max_age}"`, { max_age })),
  authorize('a challenge', PKCE),
  authorize('a plain challenge', { code_challenge: VERIFIER, code_challenge_method: 'plain' }),
  authorize('a challenge without method', { code_challenge: CHALLENGE }),
  authorize('a short challenge', { ...PKCE, code_challenge: 'short' }),
  authorize('a long challenge', { ...PKCE, code_challenge: 'a'.repeat(129) }),
  authorize('a challenge with other letters', { ...PKCE, code_challenge: `${CHALLENGE.slice(1)}+` }),
  authorize('a method without challenge', { code_challenge_method: 'S256' }),
  authorize('an unknown method', { ...PKCE, code_challenge_method: 'S512' }),
  authorize('a method in small letters', { ...PKCE, code_challenge_method: 's256' }),
  authorize('a public client without challenge', PAGE),
  authorize('a public client with a challenge', { ...PAGE, ...PKCE }),
  authorize('a public client with a plain challenge', { ...PAGE, code_challenge: VERIFIER, code_challenge_method: 'plain' }),
  authorize('an unsigned request object', { request: UNSIGNED }),
  authorize('a request object that is none', { request: 'foo' }),
  authorize('a request_uri of the web', { request_uri: 'https://app.example.com/request' }),
  authorize('a request_uri that nobody pushed', { request_uri: 'urn:ietf:params:oauth:request_uri:none' }),
  authorize('request and request_uri', { request: UNSIGNED, request_uri: 'https://app.example.com/request' }),
  authorize('registration', { registration: '{}' }),
  authorize('an id_token_hint that is none', { id_token_hint: 'foo' }),
  authorize('an id_token_hint that is none, and prompt none', { id_token_hint: 'foo', prompt: 'none' }),
  authorize('login_hint', { login_hint: 'a@example.com' }),
  authorize('ui_locales', { ui_locales: 'de xx-invalid' }),
  authorize('acr_values', { acr_values: 'a b' }),
  ...[['for userinfo', '{"userinfo":{"email":null}}'], ['for the ID token', '{"id_token":{"auth_time":{"essential":true}}}']]
    .map(([name, claims]) => authorize(`claims ${name}`, { claims })),
  authorize('display', { display: 'popup' }),
  authorize('an unknown display', { display: 'foo' }),
  authorize('an unknown parameter', { foo: 'bar' }),
  authorize('an unknown parameter twice', { foo: ['a', 'b'] }),
  authorize('a secret in the query', { client_secret: 'a' }),
  authorize('dpop_jkt', { dpop_jkt: CHALLENGE }),
  authorize('a dpop_jkt that is none', { dpop_jkt: 'short' }),
  raw('broken escapes', '&login_hint=%ZZ'),
  raw('a NUL', '&login_hint=%00'),
  raw('bytes that are no text', '&login_hint=%ff%fe'),
  raw('empty pairs', '&&&=&'),
  authorize('as a form', {}, { method: 'POST' }),
  authorize('as a form without a client', { client_id: null }, { method: 'POST' }),
  authorize('as JSON', {}, { method: 'POST', type: 'application/json', body: '{}' }),
  authorize('by PUT', {}, { method: 'PUT' }),
  known('as it should be', {}),
  known('prompt none', { prompt: 'none' }),
  known('prompt none and max_age 0', { prompt: 'none', max_age: '0' }),
  known('prompt login', { prompt: 'login' }),
  known('max_age of an hour', { max_age: '3600' }),
  known('form_post', { response_mode: 'form_post' }),
  known('a hint of somebody else, and prompt none', { prompt: 'none', id_token_hint: '$foreign' }),
  known('a hint of one\'s own, and prompt none', { prompt: 'none', id_token_hint: '$id_token' }),
  ...['id_token', 'id_token token', 'code id_token', 'code token', 'code id_token token'].map((response_type) => known(`response type "${response_type}"`, { response_type })),
];

const basic = (id, secret) => `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`;
const CODE = { grant_type: 'authorization_code', code: '$code', redirect_uri: CALLBACK };
const REFRESH = { grant_type: 'refresh_token', refresh_token: '$refresh' };
const WEB = { authorization: ['basic', '$web', '$web_secret'] };

/** One to the token endpoint. `needs` says what is obtained before: a code with these parameters, or a refresh token. */
const token = (name, parameters, more = {}) => ({ kind: 'token', name: `token: ${name}`, method: 'POST', headers: WEB, form: encode(parameters), ...more });
const code = (name, changes, more = {}) => token(name, { ...CODE, ...changes }, { needs: { code: {} }, ...more });
const refresh = (name, changes, more = {}) => token(name, { ...REFRESH, ...changes }, { needs: { refresh: true }, ...more });
const machine = (name, changes, more = {}) =>
  token(name, { grant_type: 'client_credentials', ...changes }, { headers: { authorization: ['basic', '$machine', '$machine_secret'] }, ...more });

const TOKEN = [
  code('a code', {}),
  code('a code for the second time', {}, { twice: true }),
  code('a code without its redirect URI', { redirect_uri: null }),
  code('a code with another redirect URI', { redirect_uri: `${CALLBACK}/` }),
  code('a code with an empty redirect URI', { redirect_uri: '' }),
  code('a code without verifier', {}, { needs: { code: PKCE } }),
  code('a code with its verifier', { code_verifier: VERIFIER }, { needs: { code: PKCE } }),
  code('a code with another verifier', { code_verifier: `${VERIFIER.slice(1)}A` }, { needs: { code: PKCE } }),
  code('a code with a short verifier', { code_verifier: 'short' }, { needs: { code: PKCE } }),
  code('a code with a verifier that nobody asked for', { code_verifier: VERIFIER }),
  code('a code of another client', { client_id: '$post', client_secret: '$post_secret' }, { headers: {} }),
  code('a code twice in a request', { code: ['$code', '$code'] }),
  token('no code', { grant_type: 'authorization_code', redirect_uri: CALLBACK }),
  token('an empty code', { ...CODE, code: '' }),
  token('a code that is none', { ...CODE, code: 'foo' }),
  token('a code with a NUL', { ...CODE, code: 'a\0b' }),
  token('no grant type', { code: 'foo' }),
  token('an empty grant type', { grant_type: '' }),
  token('an unknown grant type', { grant_type: 'foo' }),
  token('the grant type twice', { grant_type: ['authorization_code', 'authorization_code'], code: 'foo' }),
  token('an empty body', {}),
  token('password', { grant_type: 'password', username: 'a', password: 'b' }),
  token('no proof of a confidential client', { ...CODE, code: 'foo', client_id: '$web' }, { headers: {} }),
  token('no client at all', { ...CODE, code: 'foo' }, { headers: {} }),
  token('a wrong secret', { ...CODE, code: 'foo' }, { headers: { authorization: ['basic', '$web', 'wrong'] } }),
  token('an unknown client', { ...CODE, code: 'foo' }, { headers: { authorization: ['basic', 'nobody', 'a'] } }),
  token('an unknown client in the body', { ...CODE, code: 'foo', client_id: 'nobody' }, { headers: {} }),
  token('a wrong secret in the body', { ...CODE, code: 'foo', client_id: '$post', client_secret: 'wrong' }, { headers: {} }),
  token('the secret in header and body', { ...CODE, code: 'foo', client_id: '$web', client_secret: '$web_secret' }),
  token('the client in header and body', { ...CODE, code: 'foo', client_id: '$web' }),
  token('another client in the body', { ...CODE, code: 'foo', client_id: '$page' }),
  token('the secret in the body, of a client of the header', { ...CODE, code: 'foo', client_id: '$web', client_secret: '$web_secret' }, { headers: {} }),
  token('the secret in the header, of a client of the body', { ...CODE, code: 'foo' }, { headers: { authorization: ['basic', '$post', '$post_secret'] } }),
  token('a secret of a public client', { ...CODE, code: 'foo', client_id: '$page', client_secret: 'a' }, { headers: {} }),
  token('a public client', { ...CODE, code: 'foo', client_id: '$page' }, { headers: {} }),
  ...[['without colon', `Basic ${Buffer.from('foo').toString('base64')}`], ['that is no base64', 'Basic ???'], ['that is empty', 'Basic '], ['of another scheme', 'Bearer foo'], ['with broken escapes', basic('%zz', 'a')]]
    .map(([name, authorization]) => token(`a header ${name}`, { ...CODE, code: 'foo' }, { headers: { authorization } })),
  token('an assertion that is none', { ...CODE, code: 'foo', client_assertion: 'foo', client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer' }, { headers: {} }),
  token('an assertion without its type', { ...CODE, code: 'foo', client_id: '$web', client_assertion: 'a.b.c' }, { headers: {} }),
  token('as JSON', {}, { form: undefined, body: '{"grant_type":"authorization_code","code":"foo"}', type: 'application/json' }),
  token('as text', { ...CODE, code: 'foo' }, { type: 'text/plain' }),
  token('by GET', {}, { method: 'GET', form: undefined }),
  token('in the query', {}, { query: encode({ ...CODE, code: 'foo' }) }),
  token('a DPoP proof that is none', { ...CODE, code: 'foo' }, { headers: { ...WEB, dpop: 'foo' } }),
  refresh('a refresh token', {}),
  refresh('a refresh token for the second time', {}, { twice: true }),
  refresh('a refresh token with less', { scope: 'openid' }),
  refresh('a refresh token with more', { scope: 'openid offline_access email profile' }),
  refresh('a refresh token with what there is not', { scope: 'openid foo' }),
  refresh('a refresh token of another client', { client_id: '$post', client_secret: '$post_secret' }, { headers: {} }),
  refresh('a refresh token of a client without proof', { client_id: '$web' }, { headers: {} }),
  token('a refresh token that is none', { ...REFRESH, refresh_token: 'foo' }),
  token('no refresh token', { grant_type: 'refresh_token' }),
  token('client credentials of a client that has none', { grant_type: 'client_credentials' }),
  machine('a code of a client that has none', { ...CODE, code: 'foo' }),
  machine('client credentials with a scope that there is not', { scope: 'foo' }),
];

const bearer = (token) => ({ authorization: `Bearer ${token}` });
const userinfo = (name, more) => ({ kind: 'userinfo', name: `userinfo: ${name}`, method: 'GET', ...more });
const MINE = { needs: { tokens: true } };
const USERINFO = [
  userinfo('no token', {}),
  userinfo('a token', { ...MINE, headers: bearer('$access_token') }),
  userinfo('a token by POST', { ...MINE, method: 'POST', headers: bearer('$access_token') }),
  userinfo('a token in a form', { ...MINE, method: 'POST', form: 'access_token=$access_token' }),
  userinfo('a token in the query', { ...MINE, query: 'access_token=$access_token' }),
  userinfo('a token in header and query', { ...MINE, headers: bearer('$access_token'), query: 'access_token=$access_token' }),
  userinfo('a token of small letters', { ...MINE, headers: { authorization: 'bearer $access_token' } }),
  userinfo('a token as a bound one', { ...MINE, headers: { authorization: 'DPoP $access_token' } }),
  userinfo('an ID token', { ...MINE, headers: bearer('$id_token') }),
  userinfo('a token that is none', { headers: bearer('foo') }),
  userinfo('an empty token', { headers: { authorization: 'Bearer ' } }),
  userinfo('another scheme', { headers: { authorization: 'Basic Zm9vOmJhcg==' } }),
  userinfo('a token with a space', { headers: bearer('foo bar') }),
];

const push = (name, changes, more = {}) => ({ kind: 'par', name: `pushed: ${name}`, method: 'POST', headers: WEB, form: encode({ ...BASE, ...changes }), ...more });
const PUSHED = { needs: { pushed: {} } };
const PAR = [
  push('as it should be', {}),
  push('without proof', {}, { headers: {} }),
  push('with a wrong secret', {}, { headers: { authorization: ['basic', '$web', 'wrong'] } }),
  push('for another client', { client_id: '$page' }),
  push('a redirect URI that is not registered', { redirect_uri: 'https://evil.example.net/cb' }),
  push('no redirect URI', { redirect_uri: null }),
  push('no response type', { response_type: null }),
  push('an unknown response type', { response_type: 'foo' }),
  push('an unknown response mode', { response_mode: 'foo' }),
  push('a request_uri', { request_uri: 'urn:ietf:params:oauth:request_uri:none' }),
  push('a request object that is none', { request: 'foo' }),
  push('no nonce for an ID token', { response_type: 'id_token', nonce: null }),
  push('a short challenge', { ...PKCE, code_challenge: 'short' }),
  push('by GET', {}, { method: 'GET', form: undefined }),
  { kind: 'authorize', name: 'pushed: used', query: 'client_id=$web&request_uri=$request_uri', ...PUSHED },
  { kind: 'authorize', name: 'pushed: used by another client', query: 'client_id=$page&request_uri=$request_uri', ...PUSHED },
  { kind: 'authorize', name: 'pushed: used without the client', query: 'request_uri=$request_uri', ...PUSHED },
  { kind: 'authorize', name: 'pushed: used with another scope', query: 'client_id=$web&request_uri=$request_uri&scope=openid+email', ...PUSHED },
];

const revoke = (name, parameters, more = {}) => ({ kind: 'revoke', name: `revoke: ${name}`, method: 'POST', headers: WEB, form: encode(parameters), ...more });
const REVOKE = [
  revoke('a refresh token', { token: '$refresh' }, { needs: { refresh: true } }),
  revoke('a token that is none', { token: 'foo' }),
  revoke('no token', {}),
  revoke('an unknown hint', { token: 'foo', token_type_hint: 'foo' }),
  revoke('without proof', { token: 'foo' }, { headers: {} }),
  revoke('with a wrong secret', { token: 'foo' }, { headers: { authorization: ['basic', '$web', 'wrong'] } }),
  revoke('a refresh token of another client', { token: '$refresh', client_id: '$post', client_secret: '$post_secret' }, { headers: {}, needs: { refresh: true } }),
  revoke('by GET', {}, { method: 'GET', form: undefined }),
];

const logout = (name, parameters, more = {}) => ({ kind: 'logout', name: `logout: ${name}`, method: 'GET', query: encode(parameters), ...more });
const AFTER = 'https://app.example.com/after';
const LOGOUT = [
  logout('nothing said, nobody there', {}),
  logout('nothing said', {}, { session: true }),
  logout('a hint', { id_token_hint: '$id_token' }, { session: true }),
  logout('a hint and a page', { id_token_hint: '$id_token', post_logout_redirect_uri: AFTER, state: 'st' }, { session: true }),
  logout('a page alone', { post_logout_redirect_uri: AFTER }, { session: true }),
  logout('a client and its page', { client_id: '$web', post_logout_redirect_uri: AFTER }, { session: true }),
  logout('a page that is not registered', { id_token_hint: '$id_token', post_logout_redirect_uri: 'https://evil.example.net/' }, { session: true }),
  logout('a hint that is none', { id_token_hint: 'foo' }, { session: true }),
  logout('a hint and another client', { id_token_hint: '$id_token', client_id: '$page' }, { session: true }),
  logout('an unknown client', { client_id: 'nobody' }, { session: true }),
];

/** All of them, in the order of the endpoints. */
export const REQUESTS = [...AUTHORIZE, ...PAR, ...TOKEN, ...USERINFO, ...REVOKE, ...LOGOUT];

/** What web clients sign in with where a request needs a code, a refresh token or a pushed request. */
export const NEEDED = { authorize: BASE, offline: { ...BASE, scope: 'openid offline_access', prompt: 'consent' }, code: CODE };
