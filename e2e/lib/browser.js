// Chromium as a person would use it: with the development CA trusted and no certificate errors ignored.
import path from 'node:path';
import { chromium } from 'playwright-core';
import { doorward } from './setup.js';

const QUIET = ['--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

/** A browser; close it. */
export function launch() {
  const root = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [...root, ...QUIET],
    env: { ...process.env, HOME: doorward.home, XDG_DATA_HOME: path.join(doorward.home, '.local', 'share') },
  });
}

/**
 * A fresh profile with one page. `page.complaints` collects what must stay empty: uncaught errors, violations of the
 * content security policy, and requests to anybody but this machine.
 */
export async function visitor(browser, options = {}) {
  const context = await browser.newContext(options);
  context.setDefaultTimeout(30_000);
  const page = await context.newPage();
  page.complaints = [];
  page.on('pageerror', (error) => page.complaints.push(`uncaught: ${error.message}`));
  page.on('console', (message) => {
    if (!page.examined && /content security policy/i.test(message.text())) page.complaints.push(message.text());
  });
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (/^https?:$/.test(url.protocol) && url.hostname !== 'localhost') page.complaints.push(`third party: ${url.href}`);
  });
  return page;
}

/** Types a user's name and password into the sign-in page and sends them. */
export async function typePassword(page, { email, password }) {
  await page.locator('#username').fill(email);
  await page.locator('#password').fill(password);
  await page.locator('button[type=submit][name=action][value=default], button[type=submit][name=action]').first().click();
}

/** Signs in and, if asked, agrees; comes back when the browser is at `home`. */
export async function signIn(page, user, home) {
  await typePassword(page, user);
  await agreeIfAsked(page, home);
}

/** Says yes on the consent page if it comes before `home` does. */
export async function agreeIfAsked(page, home) {
  const arrived = page.waitForURL((url) => url.href.startsWith(home)).then(() => 'home');
  const asked = page.locator('button[value=accept]').waitFor().then(() => 'consent');
  asked.catch(() => {});
  arrived.catch(() => {});
  if ((await Promise.race([arrived, asked])) === 'consent') {
    await page.locator('button[value=accept]').click();
    await arrived;
  }
  await page.waitForLoadState();
}
