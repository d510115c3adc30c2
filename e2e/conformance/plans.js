// Which plans are run, how, and which failures are expected.
import { deny, look, once, seeEnd, seePage, signIn, signOut } from './browser.js';

/** The configuration that all plans share. */
export function configuration({ issuer, alias, tenant }) {
  const page = (text) => ({ browser: [seePage(issuer, text)] });
  const again = { browser: [signIn(issuer, { shown: 'Password' })] };
  const shown = { browser: [seePage(issuer, 'Password')] };
  const end = (text) => ({ browser: [signIn(issuer), seePage(issuer, text, 'oidc/logout*')] });
  const refusal = end('invalid_request');
  const agreed = { browser: [signIn(issuer), seeEnd(issuer, 'You are signed out')] };
  return {
    alias,
    description: 'Doorward',
    server: { discoveryUrl: `${issuer}.well-known/openid-configuration` },
    client: tenant.first,
    client2: tenant.second,
    client_secret_post: tenant.posting,
    browser: [signIn(issuer), signOut(issuer)],
    override: {
      'oidcc-prompt-login': again,
      'oidcc-max-age-1': again,
      'oidcc-ensure-registered-redirect-uri': page('redirect_uri'),
      'oidcc-ensure-redirect-uri-in-authorization-request': page('redirect_uri'),
      'oidcc-redirect-uri-query-added': page('redirect_uri'),
      'oidcc-redirect-uri-query-mismatch': page('redirect_uri'),
      'oidcc-registration-logo-uri': shown,
      'oidcc-registration-policy-uri': shown,
      'oidcc-registration-tos-uri': shown,
      'oidcc-rp-initiated-logout-bad-post-logout-redirect-uri': refusal,
      'oidcc-rp-initiated-logout-query-added-to-post-logout-redirect-uri': refusal,
      'oidcc-rp-initiated-logout-modified-id-token-hint': refusal,
      'oidcc-rp-initiated-logout-bad-id-token-hint': refusal,
      'oidcc-rp-initiated-logout-no-id-token-hint': refusal,
      'oidcc-rp-initiated-logout-no-params': agreed,
      'oidcc-rp-initiated-logout-only-state': agreed,
      'oidcc-rp-initiated-logout-no-post-logout-redirect-uri': end('You are signed out'),
      'fapi2-security-profile-final-user-rejects-authentication': { browser: [deny(issuer)] },
      'fapi2-security-profile-final-par-ensure-reused-request-uri-prior-to-auth-completion-succeeds': { browser: [look(issuer), signIn(issuer)] },
      'fapi2-security-profile-final-par-attempt-reuse-request_uri': { browser: [once(signIn(issuer)), seePage(issuer, 'request_uri')] },
      'fapi2-security-profile-final-par-attempt-to-use-expired-request_uri': page('request_uri'),
      'fapi2-security-profile-final-par-attempt-to-use-request_uri-for-different-client': page('request_uri'),
    },
  };
}

/** What differs for the profiles of financial-grade security: clients with keys, and tokens bound to keys. */
export function financial({ issuer, tenant }, kind) {
  const [client, client2] = tenant[kind];
  return { client, client2, resource: { resourceUrl: `${issuer}userinfo` } };
}

const STATIC = { server_metadata: 'discovery', client_registration: 'static_client' };
const DYNAMIC = { response_type: 'code', client_registration: 'dynamic_client' };
const FINANCIAL = { openid: 'openid_connect', client_auth_type: 'private_key_jwt', sender_constrain: 'dpop', fapi_profile: 'plain_fapi' };
const SIGNED = { ...FINANCIAL, fapi_request_method: 'signed_non_repudiation', authorization_request_type: 'simple' };

/** The plans, in the order in which they are run. */
export const PLANS = [
  { name: 'oidcc-config-certification-test-plan' },
  { name: 'oidcc-basic-certification-test-plan', variant: STATIC },
  { name: 'oidcc-implicit-certification-test-plan', variant: STATIC },
  { name: 'oidcc-hybrid-certification-test-plan', variant: STATIC },
  { name: 'oidcc-formpost-basic-certification-test-plan', variant: STATIC },
  { name: 'oidcc-formpost-implicit-certification-test-plan', variant: STATIC },
  { name: 'oidcc-formpost-hybrid-certification-test-plan', variant: STATIC },
  { name: 'oidcc-rp-initiated-logout-certification-test-plan', variant: { response_type: 'code', client_registration: 'static_client' } },
  { name: 'oidcc-dynamic-certification-test-plan', variant: { response_type: 'code' } },
  { name: 'oidcc-backchannel-rp-initiated-logout-certification-test-plan', variant: DYNAMIC },
  { name: 'oidcc-3rdparty-init-login-certification-test-plan', variant: { response_type: 'code' } },
  { name: 'fapi2-security-profile-final-test-plan', variant: { ...FINANCIAL, authorization_request_type: 'simple' }, financial: 'financial' },
  { name: 'fapi2-message-signing-final-test-plan', variant: { ...SIGNED, fapi_response_mode: 'jarm' }, financial: 'signing' },
];

/** The failures that are expected: module to reason. */
export const EXPECTED = {
  'oidcc-request-uri-unsigned': 'nothing is fetched from a request_uri that anybody may name, and nothing unsigned is taken',
  'oidcc-request-uri-signed-rs256': 'nothing is fetched from a request_uri that anybody may name',
};
