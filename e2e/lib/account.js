// The account page, as a person goes through it.
import { signIn } from './browser.js';
import { doorward } from './setup.js';

/** Where the page is. */
export const HOME = `${doorward.issuer}account/`;

/** Signs in through the page itself and waits for its cards. */
export async function enter(page, user) {
  await page.goto(HOME);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.locator('#username').waitFor();
  await signIn(page, user, HOME);
  await loaded(page);
}

/** Comes back once every card shows what it is about, or what went wrong. */
export async function loaded(page) {
  await page.locator('#profile .person-name').waitFor();
  await page.waitForFunction(() => !document.querySelector('.card:not([hidden]) .body[aria-busy], .card:not([hidden]) .body:empty'));
}

/** What is said to everybody: shown for a while and read out. */
export function said(page, text) {
  return page.getByRole('status').getByText(text).waitFor();
}

/** The text of what has the focus. */
export function focused(page) {
  return page.evaluate(() => document.activeElement.textContent);
}
