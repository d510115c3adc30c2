import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { defineConfig, type Plugin } from 'vite';

// Served by the server itself under /account/, on the same origin as the sign-in page and the API.
// Nothing is inlined: the content security policy allows scripts and styles from files only.
export default defineConfig({
  base: '/account/',
  plugins: [precompressed()],
  build: {
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    sourcemap: false,
  },
});

/** Lays a `.br` and a `.gz` beside every text file: the server sends what the browser takes, and compresses nothing itself. */
function precompressed(): Plugin {
  return {
    name: 'precompressed',
    apply: 'build',
    writeBundle({ dir = 'dist' }) {
      const files = readdirSync(dir, { recursive: true, encoding: 'utf8' });
      for (const file of files.filter((name) => /\.(html|js|css|svg)$/.test(name))) {
        const plain = readFileSync(join(dir, file));
        writeFileSync(join(dir, `${file}.br`), brotliCompressSync(plain));
        writeFileSync(join(dir, `${file}.gz`), gzipSync(plain, { level: 9 }));
      }
    },
  };
}
