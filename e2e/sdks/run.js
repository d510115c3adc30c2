// Clients in other languages against the built binary, each installed afresh: auth0-python and Authlib, go-auth0 and Go's go-oidc with
// x/oauth2, auth0-java. Each is told of the development CA the way its users would: by the environment, or by a trust store of Java's.
//
//   node sdks/run.js [python] [go] [java]        DOORWARD_BIN=…
import { execFileSync, spawn } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startDoorward } from '../lib/doorward.js';

const here = import.meta.dirname;
const chosen = process.argv.slice(2);
const scratch = mkdtempSync(path.join(tmpdir(), 'doorward-sdks-'));
const doorward = await startDoorward({ data: path.join(scratch, 'data') });
const { domain, issuer, m2m, users } = doorward.facts;

/** The tools that fetch packages trust who they always trust. */
const fetching = (command, args, options) => execFileSync(command, args, { stdio: 'inherit', ...options });

/** The person that the clients' users are: where they are asked, and the app they sign in to. */
async function person() {
  const program = spawn(process.execPath, [path.join(here, 'person.js')], {
    stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, NODE_EXTRA_CA_CERTS: doorward.ca, SDKS: JSON.stringify(doorward.facts) },
  });
  const [, origin, app] = await new Promise((resolve, reject) => {
    let said = '';
    program.stdout.on('data', (chunk) => {
      said += chunk;
      const ready = /^ready (\S+) (.+)\n/m.exec(said);
      if (ready) resolve(ready);
    });
    program.on('exit', (code) => reject(new Error(`person.js ended (${code})`)));
  });
  return { origin, app: JSON.parse(app), stop: () => program.kill() };
}

/** Runs beside this program, which goes on reading what the server logs: a pipe that nobody reads would stop it. */
async function suite(name, command, args, options) {
  console.log(`\n${name}`);
  const code = await new Promise((resolve, reject) => spawn(command, args, { stdio: 'inherit', ...options }).on('exit', resolve).on('error', reject));
  return code === 0 ? [] : [name];
}

const SUITES = {
  async python(env) {
    const [cwd, program] = [path.join(here, 'python'), path.join(scratch, 'venv', 'bin', 'python')];
    fetching('python3', ['-m', 'venv', path.join(scratch, 'venv')]);
    fetching(program, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', 'requirements.txt'], { cwd });
    const trusting = { ...env, SSL_CERT_FILE: doorward.ca, REQUESTS_CA_BUNDLE: doorward.ca, PYTHONDONTWRITEBYTECODE: '1' };
    const failed = [];
    for (const name of ['auth0_python', 'authlib']) {
      failed.push(...(await suite(`Python: ${name}`, program, ['-m', 'unittest', '-v', `test_${name}`], { cwd, env: trusting })));
    }
    return failed;
  },
  go(env) {
    const cwd = path.join(here, 'go');
    fetching('go', ['mod', 'download'], { cwd });
    return suite('Go: go-auth0, go-oidc and x/oauth2', 'go', ['test', '-count=1', '-v', './...'], { cwd, env: { ...env, SSL_CERT_FILE: doorward.ca } });
  },
  java(env) {
    const [cwd, store] = [path.join(scratch, 'java'), path.join(scratch, 'trust.p12')];
    cpSync(path.join(here, 'java'), cwd, { recursive: true });
    fetching('keytool', ['-importcert', '-noprompt', '-alias', 'doorward', '-file', doorward.ca, '-keystore', store, '-storepass', 'changeit']);
    const trust = `-Djavax.net.ssl.trustStore=${store} -Djavax.net.ssl.trustStorePassword=changeit`;
    return suite('Java: auth0-java', 'mvn', ['--batch-mode', '--no-transfer-progress', 'test', `-DargLine=${trust}`], { cwd, env });
  },
};

let [failed, someone] = [['the suites did not run'], null];
try {
  someone = await person();
  const env = {
    ...process.env, DOMAIN: domain, ISSUER: issuer, CLIENT_ID: m2m.client_id, CLIENT_SECRET: m2m.client_secret, EMAIL: users[0].email,
    PERSON: someone.origin, APP_ID: someone.app.client_id, APP_SECRET: someone.app.client_secret,
  };
  const failures = [];
  for (const name of chosen.length > 0 ? chosen : Object.keys(SUITES)) failures.push(...(await SUITES[name](env)));
  failed = failures;
} finally {
  someone?.stop();
  await doorward.stop();
  rmSync(scratch, { recursive: true, force: true });
}
if (failed.length > 0) console.error(`\nFailed: ${failed.join(', ')}`);
process.exit(failed.length > 0 ? 1 : 0);
