// Why Doorward answers otherwise than oidc-provider: each reason with the requests that show it.
export const REASONS = [
  {
    why: '## Where the specifications leave it open\n\n**Plain OAuth 2.0 is spoken too.** A request without `openid` is one for an access token (RFC 6749 §4), also where it holds a `nonce`. The only registered redirect URI stands for one that is not named (RFC 6749 §3.1.2.3), and `response_type=token` is the implicit grant. oidc-provider was told of the types of OpenID Connect alone.',
    requests: [
      'authorize: no redirect URI and no openid', 'authorize: response type "token"', 'authorize: scope missing', 'authorize: scope empty', 'authorize: scope without openid', 'authorize: scope in capitals',
    ],
  },
  {
    why: '**Scopes that nobody knows are ignored**, and what is granted is told (RFC 6749 §3.3). A refresh never widens: it gives what there was (§6).',
    requests: ['authorize: scope with quotes', 'token: a refresh token with more', 'token: a refresh token with what there is not'],
  },
  {
    why: '**A request that cannot be read in one way goes nowhere**: where a parameter comes twice, no redirect URI of that request is believed, and the error is on a page (RFC 6749 §3.1, §4.1.2.1). Text that is none, or holds a NUL, is refused too.',
    requests: [
      'authorize: the response type twice', 'authorize: the scope twice', 'authorize: state: twice, and prompt none', 'authorize: nonce: twice', 'authorize: prompt twice',
      'authorize: broken escapes', 'authorize: a NUL', 'authorize: bytes that are no text', 'token: a code with a NUL',
    ],
  },
  {
    why: '**Response types and modes.** `none` is not offered. A type with a word twice or other separators is unknown, and the answer to an unknown type is in the query. Where a mode is not safe for the type, the error is in the fragment, which is. OAuth 2.0 has no code for an unknown mode: it is an `invalid_request`.',
    requests: [
      'authorize: response type "none"', 'authorize: response type "code code"', 'authorize: response type "code  token"', 'authorize: response type "code,token"',
      'authorize: response mode "query" for id_token, and prompt none', 'authorize: response mode "query" for code token, and prompt none', 'authorize: response mode "foo" for code, and prompt none',
      'authorize: response mode "query.jwt" for id_token, and prompt none', 'pushed: an unknown response mode',
    ],
  },
  {
    why: '**`iss` stands in every answer** (RFC 9207 §2), beside an ID token too, where it could be left out.',
    requests: [
      'authorize: signed in, response type "id_token"', 'authorize: signed in, response type "id_token token"', 'authorize: signed in, response type "code id_token"', 'authorize: signed in, response type "code id_token token"',
    ],
  },
  {
    why: '**Prompts, hints and what else there is.** `select_account` shows the sign-in page. A hint is looked at once somebody is signed in: before, it changes nothing of the answer. `registration` is ignored like any parameter that is unknown (RFC 6749 §3.1), and a `dpop_jkt` that can be no thumbprint is refused at once.',
    requests: [
      'authorize: prompt "select_account"', 'authorize: an id_token_hint that is none', 'authorize: an id_token_hint that is none, and prompt none', 'authorize: registration', 'authorize: a dpop_jkt that is none',
    ],
  },
  {
    why: '**Pushed requests.** A `request_uri` that nobody pushed proves nothing of who asks: a page. At the endpoint itself it is refused as a parameter that must not be there (RFC 9126 §2.1).',
    requests: ['authorize: a request_uri that nobody pushed', 'pushed: a request_uri'],
  },
  {
    why: '**JSON is read as a form is** at every endpoint of OAuth, since Auth0\'s clients send it; what is no JSON by its type is read as a form.',
    requests: ['authorize: as JSON', 'token: as JSON', 'token: as text'],
  },
  {
    why: '**Whatever is wrong with the proof of a client is `invalid_client` with 401** (RFC 6749 §5.2), also two proofs at once and a header that cannot be read: the answer tells nothing of which it was. A client proves itself by the method that it registered alone. A public client has nothing to prove, and what it sends as a secret counts for nothing.',
    requests: [
      'pushed: for another client', 'token: the secret in header and body', 'token: another client in the body', 'token: the secret in the body, of a client of the header', 'token: the secret in the header, of a client of the body',
      'token: a secret of a public client', 'token: a header without colon', 'token: a header that is no base64', 'token: a header that is empty', 'token: a header of another scheme', 'token: a header with broken escapes',
      'token: an assertion that is none', 'token: an assertion without its type',
    ],
  },
  {
    why: '**What does not fit a code is `invalid_grant`** (RFC 6749 §5.2): a redirect URI that is missing or empty, and a verifier that is too short.',
    requests: ['token: a code without its redirect URI', 'token: a code with an empty redirect URI', 'token: a code with a short verifier'],
  },
  {
    why: '**Grants.** A grant that the client may not use is `unauthorized_client` (RFC 6749 §5.2); the `password` grant is there for clients that list it. Client credentials are for an API that is named, and this request names none.',
    requests: ['token: password', 'token: client credentials of a client that has none', 'token: a code of a client that has none', 'token: client credentials with a scope that there is not'],
  },
  {
    why: '**`/userinfo` takes a token from one `Authorization` header or from a form, and nowhere else**, which RFC 6750 §2 allows; every refusal is 401, and tells a reason where a token was tried.',
    requests: [
      'userinfo: a token in the query', 'userinfo: a token in header and query', 'userinfo: a token as a bound one', 'userinfo: an empty token', 'userinfo: another scheme', 'userinfo: a token with a space',
    ],
  },
  {
    why: '**Methods.** A path that is there is not missing: 405, and `Allow` tells what it takes.',
    requests: ['pushed: by GET', 'token: by GET', 'revoke: by GET'],
  },
  {
    why: '**Logout.** Who shows an ID token of the very session is signed out without being asked, and nobody is asked where nobody is signed in. A page that is not the tenant\'s own is believed for a client alone: a request that names none is refused.',
    requests: ['logout: nothing said, nobody there', 'logout: a hint', 'logout: a hint and a page', 'logout: a page alone'],
  },
  {
    why: '## Auth0\'s way, for strict clients too\n\n**Revoking a token of somebody else\'s** is answered with 200 and changes nothing, so that the answer tells nothing of whose tokens there are. RFC 7009 §2.1 would have it refused.',
    requests: ['revoke: a refresh token of another client'],
  },
  {
    why: '**A redirect URI may have its scheme and host in capitals**, which are the same scheme and host; all else is compared to the letter. OpenID Connect Core §3.1.2.1 would have all of it so.',
    requests: ['authorize: redirect URI with capitals in the host'],
  },
];
