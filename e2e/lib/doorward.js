// Starts the built binary in test mode.
import { execFileSync, spawn } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { freePort } from './machine.js';

const BINARY = process.env.DOORWARD_BIN ?? path.join(import.meta.dirname, '..', '..', 'target', 'debug', 'doorward');
const PATIENCE = 60_000;
const AUTHORITY = ['ca.pem', 'ca-key.pem'];

/**
 * `doorward dev` on a directory and a port of its own; comes back once the program says it is ready. `facts` is what
 * `credentials.json` holds, and where things are. With `authority`, the directory of another server, both share its
 * development CA.
 */
export async function startDoorward({ data, database, authority }) {
  if (!existsSync(BINARY)) {
    console.error(`${BINARY} is missing: run \`cargo build\`, or name another binary in DOORWARD_BIN.`);
    process.exit(1);
  }
  if (authority) {
    mkdirSync(data, { recursive: true, mode: 0o700 });
    for (const file of AUTHORITY) copyFileSync(path.join(authority, file), path.join(data, file));
  }
  const port = await freePort();
  const options = ['--data', data, '--listen', `127.0.0.1:${port}`, ...(database ? ['--database', database] : [])];
  const program = spawn(BINARY, ['dev', ...options], { stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  const ended = new Promise((resolve) => program.on('exit', (code, signal) => resolve(code ?? signal)));
  const ready = new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`not ready after ${PATIENCE} ms:\n${log}`)), PATIENCE);
    const read = (chunk) => {
      log = (log + chunk).slice(-200_000);
      if (!/Doorward is ready at [^]*stops it\./.test(log)) return;
      clearTimeout(timer);
      resolve();
    };
    program.stdout.on('data', read);
    program.stderr.on('data', read);
    program.on('error', reject);
    ended.then((code) => {
      clearTimeout(timer);
      reject(new Error(`doorward ended (${code}) before it was ready:\n${log}`));
    });
  });
  try {
    await ready;
  } catch (error) {
    program.kill('SIGKILL');
    throw error;
  }
  const facts = {
    ...JSON.parse(readFileSync(path.join(data, 'credentials.json'), 'utf8')),
    data,
    certificate: path.join(data, 'localhost.pem'),
    key: path.join(data, 'localhost-key.pem'),
    tools: /https:\S+\/dev\?token=\S+/.exec(log)?.[0],
  };
  return {
    facts,
    ca: path.join(data, 'ca.pem'),
    log: () => log,
    stop: () => {
      program.kill('SIGTERM');
      return ended;
    },
  };
}

/**
 * `doorward serve` on a new database in `directory`, with a certificate for localhost and what else `tls` says; comes back once it answers.
 * `m2m` is a machine client that may do everything.
 */
export async function startServer({ directory, certificate, key, tls = '' }) {
  const port = await freePort();
  const [config, master, domain] = [path.join(directory, 'doorward.toml'), path.join(directory, 'master.key'), `localhost:${port}`];
  writeFileSync(config, `database = "sqlite:${path.join(directory, 'doorward.db')}"
listen = "127.0.0.1:${port}"
issuer = "https://${domain}/"
master_key_file = "${master}"
[tls]
certificate = "${certificate}"
key = "${key}"
${tls}
`);
  // The program takes its settings from there too, and knows nothing of these tests'.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('DOORWARD_')));
  execFileSync(BINARY, ['keys', 'new-master', master], { env, stdio: 'pipe' });
  const made = execFileSync(BINARY, ['admin', 'create-client', '--config', config, '--all-scopes'], { env, encoding: 'utf8', stdio: 'pipe' });
  const told = (name) => new RegExp(`^${name}\\s+(\\S+)$`, 'm').exec(made)[1];
  const program = spawn(BINARY, ['serve', '--config', config], { env, stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  program.stderr.on('data', (chunk) => (log = (log + chunk).slice(-200_000)));
  const ended = new Promise((resolve) => program.on('exit', (code, signal) => resolve(code ?? signal)));
  const issuer = `https://${domain}/`;
  for (const end = Date.now() + PATIENCE; ; ) {
    if (await fetch(`${issuer}.well-known/openid-configuration`).then((answer) => answer.ok, () => false)) break;
    if (program.exitCode !== null || Date.now() > end) throw new Error(`doorward serve does not answer:\n${log}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return {
    domain,
    issuer,
    m2m: { client_id: told('client_id'), client_secret: told('client_secret') },
    stop: () => {
      program.kill('SIGTERM');
      return ended;
    },
  };
}

/** Moves the clock of a server forward; `tools` is the address that `doorward dev` prints beside "Clock". */
export async function advanceClock(tools, seconds) {
  const { origin, searchParams } = new URL(tools);
  const response = await fetch(`${origin}/dev/clock`, {
    method: 'POST',
    headers: { authorization: `Bearer ${searchParams.get('token')}`, 'content-type': 'application/json' },
    body: JSON.stringify({ advance_seconds: seconds }),
  });
  if (!response.ok) throw new Error(`the clock answered ${response.status}: ${await response.text()}`);
}

/** The newest letter of a kind to an address, once it is in the outbox: `subject`, `html`, `text`. */
export async function letterTo(tools, address, kind) {
  const { origin, searchParams } = new URL(tools);
  const headers = { authorization: `Bearer ${searchParams.get('token')}`, accept: 'application/json' };
  for (const end = Date.now() + PATIENCE; Date.now() < end; ) {
    const response = await fetch(`${origin}/dev/outbox`, { headers });
    if (!response.ok) throw new Error(`the outbox answered ${response.status}: ${await response.text()}`);
    const letter = (await response.json()).find((one) => one.to === address && one.kind === kind && one.text);
    if (letter) return letter;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error(`no ${kind} came to ${address}`);
}

/** The link of a letter. */
export function linkOf(letter) {
  return /https:\S+/.exec(letter.text)[0];
}
