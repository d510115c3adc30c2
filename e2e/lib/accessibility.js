// axe-core over a page as it stands.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What axe-core finds wrong, one line each; empty when all is well. */
export async function violations(page) {
  page.examined = true; // axe-core tries out styles, and the policy rightly complains of those
  const found = await page.evaluate(`${axe}; axe.run(document, { resultTypes: ['violations'] })`);
  await page.waitForTimeout(50);
  page.examined = false;
  return found.violations.flatMap(({ id, help, nodes }) => nodes.map((node) => `${id}: ${help}: ${node.html}`));
}

/** Whether the page can be scrolled sideways. */
export function overflows(page) {
  return page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
}
