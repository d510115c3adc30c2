// Clients in other languages against the built binary, each installed afresh: auth0-python, and Go's go-oidc and x/oauth2.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startDoorward } from '../lib/doorward.js';

const here = import.meta.dirname;
const scratch = mkdtempSync(path.join(tmpdir(), 'doorward-sdks-'));
const doorward = await startDoorward({ data: path.join(scratch, 'data') });
const { domain, issuer, m2m, users } = doorward.facts;
const env = {
  ...process.env, DOMAIN: domain, ISSUER: issuer, CLIENT_ID: m2m.client_id, CLIENT_SECRET: m2m.client_secret, EMAIL: users[0].email,
  SSL_CERT_FILE: doorward.ca, REQUESTS_CA_BUNDLE: doorward.ca,
};

/** The tools that fetch packages trust who they always trust. */
const fetching = { ...process.env };

function suite(name, command, args, cwd) {
  console.log(`\n${name}`);
  return spawnSync(command, args, { cwd, env, stdio: 'inherit' }).status === 0 ? [] : [name];
}

let failed = ['the suites did not run'];
try {
  const python = path.join(scratch, 'venv', 'bin', 'python');
  execFileSync('python3', ['-m', 'venv', path.join(scratch, 'venv')], { stdio: 'inherit' });
  execFileSync(python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', path.join(here, 'python', 'requirements.txt')], { env: fetching, stdio: 'inherit' });
  execFileSync('go', ['mod', 'download'], { cwd: path.join(here, 'go'), env: fetching, stdio: 'inherit' });
  failed = [
    ...suite('Python: auth0-python', python, ['-m', 'unittest', '-v', 'test_auth0_python'], path.join(here, 'python')),
    ...suite('Go: go-oidc and x/oauth2', 'go', ['test', '-count=1', '-v', './...'], path.join(here, 'go')),
  ];
} finally {
  await doorward.stop();
  rmSync(scratch, { recursive: true, force: true });
}
if (failed.length > 0) console.error(`\nFailed: ${failed.join(', ')}`);
process.exit(failed.length > 0 ? 1 : 0);
