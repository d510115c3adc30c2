// Starts `doorward serve` over https on an empty database, and makes a machine client that may do everything there.
import { execFileSync, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';

const BINARY = process.env.DOORWARD_BIN ?? path.join(import.meta.dirname, '..', '..', 'target', 'debug', 'doorward');
const PATIENCE = 60_000;

/** The server takes settings from variables of its own, and refuses those that it does not know. */
const ENVIRONMENT = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('DOORWARD_')));

/** The server at `https://localhost:PORT/`, with its data, its keys and its certificate in the directory `data`. */
export async function startServer({ data, port, certificate, key, authority }) {
  const config = path.join(data, 'doorward.toml');
  const issuer = `https://localhost:${port}/`;
  execFileSync(BINARY, ['keys', 'new-master', path.join(data, 'master.key')], { env: ENVIRONMENT });
  // The suite and the server share this machine, so that what the server fetches from the suite is at a loopback address.
  writeFileSync(config, `
database = "sqlite:${data}/doorward.db"
listen = "127.0.0.1:${port}"
issuer = "${issuer}"
master_key_file = "${data}/master.key"
[tls]
certificate = "${certificate}"
key = "${key}"
[outbound]
allow = ["127.0.0.1", "::1"]
`);
  const printed = execFileSync(BINARY, ['admin', 'create-client', '--config', config, '--all-scopes'], { encoding: 'utf8', env: ENVIRONMENT });
  const told = (name) => new RegExp(`^${name}\\s+(\\S+)$`, 'm').exec(printed)[1];
  const machine = { client_id: told('client_id'), client_secret: told('client_secret'), audience: told('audience') };

  const env = { ...ENVIRONMENT, SSL_CERT_FILE: authority };
  const program = spawn(BINARY, ['serve', '--config', config], { env, stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  const ended = new Promise((resolve) => program.on('exit', (code, signal) => resolve(code ?? signal)));
  await new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`not ready after ${PATIENCE} ms:\n${log}`)), PATIENCE);
    program.stderr.on('data', (chunk) => {
      log = (log + chunk).slice(-1_000_000);
      if (!log.includes('"ready"')) return;
      clearTimeout(timer);
      resolve();
    });
    ended.then((code) => reject(new Error(`doorward ended (${code}) before it was ready:\n${log}`)));
  });
  return {
    issuer,
    machine,
    log: () => log,
    stop: () => {
      program.kill('SIGTERM');
      return ended;
    },
  };
}
