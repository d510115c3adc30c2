// Tokens as an API that trusts this issuer sees them.
import { createRemoteJWKSet, decodeJwt, jwtVerify } from 'jose';
import { doorward } from './setup.js';

const keys = createRemoteJWKSet(new URL(`${doorward.issuer}.well-known/jwks.json`));

/** The claims of a token whose signature, issuer and times hold. */
export async function verified(token, options = {}) {
  const { payload, protectedHeader } = await jwtVerify(token, keys, { issuer: doorward.issuer, algorithms: ['RS256'], ...options });
  return { claims: payload, header: protectedHeader };
}

/** The claims of a token, unjudged. */
export const claims = decodeJwt;

/** A Management API call with a bearer token; the answer's status and body. */
export async function call(token, method, path, body, issuer = doorward.issuer) {
  const response = await fetch(`${issuer}api/v2${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, ...(body && { 'content-type': 'application/json' }) },
    body: body && JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, body: text ? JSON.parse(text) : undefined };
}

/** A call to the token endpoint with a form. */
export async function tokenCall(form) {
  const response = await fetch(`${doorward.issuer}oauth/token`, { method: 'POST', body: new URLSearchParams(form) });
  return { status: response.status, body: await response.json() };
}

/** A user's path below /api/v2. */
export const userPath = (id) => `/users/${encodeURIComponent(id)}`;
