// Runs the end-to-end tests: starts the built binary once, in test mode on a directory of its own, makes its development
// CA known to Chromium and to Node, and hands both to Node's test runner.
//
//   node run.js [FILE…]        DOORWARD_BIN=…  CHROMIUM=…  DOORWARD_E2E_DATABASE=postgres://…
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startDoorward } from './lib/doorward.js';
import { need, trust } from './lib/machine.js';

const here = import.meta.dirname;
const chosen = process.argv.slice(2);
const files = (chosen.length > 0 ? chosen : readdirSync(path.join(here, 'tests')).filter((name) => name.endsWith('.test.js')))
  .map((name) => path.join(here, 'tests', path.basename(name)));

need('certutil', 'it makes the development CA known to Chromium', 'libnss3-tools');
need('openssl', 'it makes the certificates of clients', 'openssl');
need(process.env.CHROMIUM ?? '/usr/bin/chromium', 'it is the browser of these tests', 'chromium');

const scratch = mkdtempSync(path.join(tmpdir(), 'doorward-e2e-'));
mkdirSync(path.join(here, 'results'), { recursive: true });
const doorward = await startDoorward({ data: path.join(scratch, 'data'), database: process.env.DOORWARD_E2E_DATABASE });
let code = 1;
try {
  const home = path.join(scratch, 'home');
  trust(home, doorward.ca);
  const known = path.join(scratch, 'doorward.json');
  writeFileSync(known, JSON.stringify({ ...doorward.facts, home }));
  code = await new Promise((resolve) => {
    // One file at a time: two browsers on two cores only make each other time out.
    const tests = spawn(process.execPath, ['--test', '--test-concurrency=1', '--test-reporter=spec', ...files], {
      stdio: 'inherit',
      env: { ...process.env, NODE_EXTRA_CA_CERTS: doorward.ca, DOORWARD_E2E: known },
    });
    tests.on('exit', (status) => resolve(status ?? 1));
  });
} finally {
  await doorward.stop();
  if (code !== 0) {
    console.error(`\nThe server's last lines:\n${doorward.log().split('\n').slice(-40).join('\n')}`);
  }
  rmSync(scratch, { recursive: true, force: true });
}
process.exit(code);
