/** The account page: sign in, then one card per thing a person can see or do. */
import { appRequestsCard } from './cards/app_requests.ts';
import { deviceCard } from './cards/device.ts';
import { linkedAccountsCard } from './cards/linked_accounts.ts';
import { metadataCard } from './cards/metadata.ts';
import { passwordCard } from './cards/password.ts';
import { permissionsCard } from './cards/permissions.ts';
import { profileCard } from './cards/profile.ts';
import { secondStepCard } from './cards/second_step.ts';
import { signOutCard } from './cards/sign_out.ts';
import { apiOf, type Config, loadConfig } from './config.ts';
import { element } from './dom.ts';
import { Door, type Opened } from './door.ts';
import { broken, gate } from './gate.ts';
import { Management } from './management.ts';
import type { Session, Why } from './session.ts';

const app = document.getElementById('app');
if (!app) throw new Error('the page has no #app');

async function start(root: HTMLElement): Promise<void> {
  root.replaceChildren(element('div', { class: 'gate waiting', 'aria-busy': 'true' }, element('p', { class: 'muted' }, 'Loading…')));
  try {
    const config = await loadConfig();
    const door = new Door(config);
    const opened = await door.open();
    if (opened.session) return showAccount(root, config, door, opened, opened.session);
    root.replaceChildren(gate(config.name, (page) => door.enter(page), opened.refusal));
  } catch (error) {
    console.error(error);
    root.replaceChildren(broken(() => void start(root)));
  }
}

const NOTICES: Record<Why, string> = {
  over: 'Your session has ended. Sign in to go on.',
  replaced: 'Another account is signed in in this browser now. Sign in to yours to go on.',
};

function showAccount(root: HTMLElement, config: Config, door: Door, opened: Opened, session: Session): void {
  const api = new Management(apiOf(config), session);
  const ended = (why: Why) => {
    root.replaceChildren(gate(config.name, (page) => door.enter(page, why === 'replaced'), undefined, NOTICES[why]));
    root.querySelector<HTMLElement>('button')?.focus();
  };
  const password = passwordCard(config, api, session, ended);
  const cards = [
    profileCard(api, ended),
    linkedAccountsCard(api, session, ended, password.reload),
    password.section,
    secondStepCard(api, session, opened, ended),
    deviceCard(api, session, ended),
    appRequestsCard(),
    metadataCard(api, ended),
    permissionsCard(session, ended),
    signOutCard(session),
  ];
  root.replaceChildren(
    element(
      'header',
      { class: 'top' },
      element('div', { class: 'monogram small', 'aria-hidden': 'true' }, [...(config.name ?? 'Doorward')][0]?.toUpperCase() ?? 'D'),
      element('h1', {}, 'Your account'),
      config.name ? element('p', { class: 'muted tenant' }, config.name) : null,
    ),
    element(
      'div',
      { class: 'page' },
      element(
        'nav',
        { class: 'sections', 'aria-label': 'Sections' },
        element('ul', {}, ...cards.map((card) => element('li', { hidden: card.hidden }, element('a', { href: `#${card.id}` }, card.querySelector('h2')?.textContent ?? null)))),
      ),
      element('main', { class: 'cards', id: 'main' }, ...cards),
    ),
  );
}

void start(app);
