// What the suite's own browser does on our pages, in the suite's words: what page, which fields, which button.
import { OTHER, PERSON } from './tenant.js';

const SUBMIT = ['click', 'css', 'button[name=action][value=default]'];
const ACCEPT = ['click', 'css', 'button[name=action][value=accept]'];

const done = { task: 'Come back', match: '*/test/*/callback*', commands: [['wait', 'id', 'submission_complete', 10]] };

function login(issuer, { shown, person = PERSON } = {}) {
  const look = shown ? [['wait', 'xpath', '//*', 10, shown, 'update-image-placeholder-optional']] : [];
  return {
    task: 'Sign in',
    match: `${issuer}u/login*`,
    optional: true,
    commands: [...look, ['text', 'name', 'username', person.email], ['text', 'name', 'password', person.password], SUBMIT],
  };
}

function consent(issuer) {
  return { task: 'Consent', match: `${issuer}u/consent*`, optional: true, commands: [ACCEPT] };
}

/** Signs in and consents where it is asked, and comes back. */
export function signIn(issuer, options) {
  return { match: `${issuer}authorize*`, tasks: [login(issuer, options), consent(issuer), done] };
}

/** Signs in, but does not let the app have what it asks for. */
export function deny(issuer) {
  const refuse = { task: 'Deny', match: `${issuer}u/consent*`, commands: [['click', 'css', 'button[name=action][value=deny]']] };
  return { match: `${issuer}authorize*`, tasks: [login(issuer, { person: OTHER }), refuse, done] };
}

/** Looks at the first page, and goes away. */
export function look(issuer) {
  return { match: `${issuer}authorize*`, 'match-limit': 1, tasks: [{ task: 'Look', match: `${issuer}u/login*` }] };
}

/** As `page`, once. */
export function once(page) {
  return { ...page, 'match-limit': 1 };
}

/** Sees a page of ours, which shows `text`, and goes no further. */
export function seePage(issuer, text, match = 'authorize*') {
  const commands = [['wait', 'xpath', '//*', 10, text, 'update-image-placeholder']];
  return { match: `${issuer}${match}`, tasks: [{ task: `See: ${text}`, match: `${issuer}*`, commands }] };
}

/** Agrees to the end of the session where it is asked, and comes back. */
export function signOut(issuer) {
  return {
    match: `${issuer}oidc/logout*`,
    tasks: [
      { task: 'Agree', match: `${issuer}oidc/logout*`, optional: true, commands: [ACCEPT] },
      { task: 'Come back', match: '*/test/*/post*' },
    ],
  };
}

/** Agrees to the end of the session, and sees a page which shows `text`. */
export function seeEnd(issuer, text) {
  const agree = { task: 'Agree', match: `${issuer}oidc/logout*`, commands: [ACCEPT] };
  const see = { task: `See: ${text}`, match: `${issuer}*`, commands: [['wait', 'xpath', '//*', 10, text, 'update-image-placeholder']] };
  return { match: `${issuer}oidc/logout*`, tasks: [agree, see] };
}
