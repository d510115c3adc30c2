// A single-page app's web server: https on another port of localhost, with the certificate of the development CA.
import { createReadStream, existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import path from 'node:path';
import { doorward } from './setup.js';

const here = import.meta.dirname;
const modules = path.join(here, '..', 'node_modules');
const SDKS = {
  '/auth0.js': path.join(modules, 'auth0-js/dist/auth0.min.js'),
  '/auth0-spa-js.js': path.join(modules, '@auth0/auth0-spa-js/dist/auth0-spa-js.production.js'),
  '/oidc-client-ts.js': path.join(modules, 'oidc-client-ts/dist/browser/oidc-client-ts.min.js'),
  '/auth0-spa-js.esm.js': path.join(modules, '@auth0/auth0-spa-js/dist/auth0-spa-js.production.esm.js'),
};
const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8' };

/** Serves `e2e/app`, the SDKs and `extra` (path → text); `origin` is where. */
export async function serveApp(extra = {}) {
  const server = createServer({ cert: readFileSync(doorward.certificate), key: readFileSync(doorward.key) }, (request, response) => {
    const { pathname } = new URL(request.url, 'https://localhost');
    const type = TYPES[path.extname(pathname)] ?? 'text/html; charset=utf-8';
    const text = extra[pathname];
    const file = SDKS[pathname] ?? path.join(here, '..', 'app', path.basename(pathname));
    if (text !== undefined) response.writeHead(200, { 'content-type': type }).end(text);
    else if (path.extname(file) && existsSync(file)) createReadStream(file).pipe(response.writeHead(200, { 'content-type': type }));
    else response.writeHead(404).end();
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    origin: `https://localhost:${server.address().port}`,
    close: () => new Promise((resolve) => {
      server.closeAllConnections();
      server.close(resolve);
    }),
  };
}
