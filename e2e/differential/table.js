// docs/differential.md, as it follows from a run.

const HEAD = (requests, differences) => `# Beside another server

The same ${requests} odd requests go to node's oidc-provider 9.13.3, which is certified for OpenID Connect, and to a strict Doorward with the same clients
(\`e2e/differential\`). ${requests - differences} are answered alike: to the same place, with the same error, the same parameters. The rest are here, by reason. \`make e2e
TESTS=differential.test.js\` compares again, and fails where a difference has no reason or a reason has no difference left.
`;

const cell = (text) => text.replaceAll('|', '\\|');

/** The document. */
export function table(requests, differences, reasons) {
  const parts = reasons.map(({ why, requests: names }) => {
    const rows = differences.filter(({ name }) => names.includes(name)).map(({ name, ours, theirs }) => `| ${cell(name)} | ${cell(ours)} | ${cell(theirs)} |`);
    return `\n${why}\n\n| request | Doorward | oidc-provider |\n|---|---|---|\n${rows.join('\n')}\n`;
  });
  return HEAD(requests, differences.length) + parts.join('');
}
