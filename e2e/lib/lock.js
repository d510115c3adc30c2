// Lock, the sign-in widget, as one script: its package holds modules alone.
import { createRequire } from 'node:module';
import { build } from 'esbuild';

/** The text of a script that puts `Auth0Lock` and `Auth0LockPasswordless` into the window. */
export async function lockScript() {
  const contents = 'import { Auth0Lock, Auth0LockPasswordless } from "auth0-lock"; Object.assign(window, { Auth0Lock, Auth0LockPasswordless });';
  const lock = createRequire(createRequire(import.meta.url).resolve('auth0-lock'));
  // Lock wants the default export of its auth0-js, which the build for bundlers has not.
  const own = { name: 'auth0-js', setup: (on) => on.onResolve({ filter: /^auth0-js(\/|$)/ }, ({ path }) => ({ path: lock.resolve(path) })) };
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: import.meta.dirname },
    bundle: true, format: 'iife', minify: true, write: false, logLevel: 'error', plugins: [own],
    define: { 'process.env.NODE_ENV': '"production"', global: 'window' },
  });
  return outputFiles[0].text;
}
