import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { Management } from './management.ts';
import { ApiError } from './problem.ts';
import { type Session, SessionEnded } from './session.ts';

interface Call {
  method: string;
  url: string;
  token: string | null;
  body: unknown;
}

const real = globalThis.fetch;
afterEach(() => {
  globalThis.fetch = real;
});

/** The API of a person whose tokens are `t1`, `t2`, …, over a server that gives `answers` in turn. */
function api(...answers: Response[]): { api: Management; calls: Call[] } {
  const calls: Call[] = [];
  globalThis.fetch = async (url, init = {}) => {
    const headers = new Headers(init.headers);
    calls.push({ method: init.method ?? '', url: String(url), token: headers.get('authorization'), body: init.body ? JSON.parse(String(init.body)) : undefined });
    const answer = answers.shift();
    assert.ok(answer, 'one call too many');
    return answer;
  };
  let turn = 1;
  const token = async (fresh?: boolean) => `t${fresh ? ++turn : turn}`;
  const session = { userId: 'auth0|a/b', token } as Session;
  return { api: new Management('https://id.example/api/v2/', session), calls };
}

const json = (body: unknown, status = 200) => Response.json(body, { status });
const gone = () => new Response(null, { status: 204 });

test('each call is the operation that it is named for', async () => {
  const base = 'https://id.example/api/v2';
  const me = `${base}/users/auth0%7Ca%2Fb`;
  const cases: [(api: Management) => Promise<unknown>, string, string, unknown, Response][] = [
    [(api) => api.user(['user_id', 'email']), 'GET', `${me}?fields=user_id,email`, undefined, json({})],
    [(api) => api.changeMetadata({ a: null }), 'PATCH', me, { user_metadata: { a: null } }, json({})],
    [(api) => api.link('e.y.J'), 'POST', `${me}/identities`, { link_with: 'e.y.J' }, json([], 201)],
    [(api) => api.unlink({ provider: 'samlp', connection: 'c', user_id: 'c|x/y' }), 'DELETE', `${me}/identities/samlp/c%7Cx%2Fy`, undefined, json([])],
    [(api) => api.unlink({ provider: 'github', connection: 'github', user_id: 583231 }), 'DELETE', `${me}/identities/github/583231`, undefined, json([])],
    [(api) => api.enrollments(), 'GET', `${me}/enrollments`, undefined, json([])],
    [(api) => api.removeSecondStep(), 'DELETE', `${me}/multifactor/google-authenticator`, undefined, gone()],
    [(api) => api.registerDevice({ device_name: 'n', device_id: 'd', value: 'v' }), 'POST', `${base}/device-credentials`, { type: 'public_key', device_name: 'n', device_id: 'd', value: 'v' }, json({ id: 'dcr_1' }, 201)],
    [(api) => api.removeDevice('dcr_1'), 'DELETE', `${base}/device-credentials/dcr_1`, undefined, gone()],
  ];
  for (const [call, method, url, body, answer] of cases) {
    const made = api(answer);
    await call(made.api);
    assert.deepEqual(made.calls, [{ method, url, token: 'Bearer t1', body }]);
  }
});

test('a token that the server no longer takes is replaced once', async () => {
  const { api: mine, calls } = api(json({}, 401), json([{ id: 'dev_1', status: 'confirmed' }]));
  assert.deepEqual(await mine.enrollments(), [{ id: 'dev_1', status: 'confirmed' }]);
  assert.deepEqual(calls.map((call) => call.token), ['Bearer t1', 'Bearer t2']);
  const { api: blocked } = api(json({}, 401), json({}, 401));
  await assert.rejects(blocked.enrollments(), SessionEnded);
});

test('a refusal carries the server’s words, its code and how long to wait', async () => {
  const refused = { statusCode: 403, message: 'Insufficient scope', errorCode: 'insufficient_scope' };
  await assert.rejects(api(json(refused, 403)).api.link('x'), (error) => {
    assert.ok(error instanceof ApiError);
    assert.deepEqual([error.status, error.message, error.code, error.retryAfter], [403, 'Insufficient scope', 'insufficient_scope', undefined]);
    return true;
  });
  const wanted = (challenge: string) => Response.json({ errorCode: 'insufficient_user_authentication' }, { status: 403, headers: { 'www-authenticate': challenge } });
  for (const [challenge, proof] of [
    ['Bearer error="insufficient_user_authentication", max_age="300"', { password: true, secondStep: false }],
    ['Bearer error="insufficient_user_authentication", acr_values="urn:x"', { password: false, secondStep: true }],
    ['Bearer error="insufficient_user_authentication", max_age="300", acr_values="urn:x"', { password: true, secondStep: true }],
  ] as const) {
    await assert.rejects(api(wanted(challenge)).api.removeSecondStep(), (error) => {
      assert.ok(error instanceof ApiError);
      assert.deepEqual(error.proof, proof);
      return true;
    });
  }
  const busy = new Response('{', { status: 429, headers: { 'retry-after': '7' } });
  await assert.rejects(api(busy).api.link('x'), (error) => {
    assert.ok(error instanceof ApiError);
    assert.deepEqual([error.status, error.message, error.code, error.retryAfter], [429, 'HTTP 429', undefined, 7]);
    return true;
  });
});
