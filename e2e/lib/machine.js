// What the machine must have, and how a CA is made known to Chromium on it.
import { execFileSync } from 'node:child_process';
import { accessSync, constants, mkdirSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';

/** Ends the run with one sentence unless `program` can be started. */
export function need(program, why, debian) {
  const places = program.includes('/') ? [program] : (process.env.PATH ?? '').split(':').map((dir) => path.join(dir, program));
  const found = places.some((place) => {
    try {
      accessSync(place, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
  if (found) return;
  console.error(`${program} is missing: ${why}. On Debian or Ubuntu: apt-get install ${debian}`);
  process.exit(1);
}

/** Puts a CA into the certificate store that Chromium reads under the home directory `home`. */
export function trust(home, ca) {
  const store = path.join(home, '.pki', 'nssdb');
  mkdirSync(store, { recursive: true });
  execFileSync('certutil', ['-d', `sql:${store}`, '-N', '--empty-password']);
  execFileSync('certutil', ['-d', `sql:${store}`, '-A', '-t', 'C,,', '-n', 'Doorward development CA', '-i', ca]);
}

/** A port of the loopback interface that is free now. */
export function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.on('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}
