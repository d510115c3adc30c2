/** The account page: sign in, then one card per thing a person can see or do. */
import { metadataCard } from './cards/metadata.ts';
import { permissionsCard } from './cards/permissions.ts';
import { profileCard } from './cards/profile.ts';
import { signOutCard } from './cards/sign_out.ts';
import { type Config, loadConfig } from './config.ts';
import { element } from './dom.ts';
import { broken, gate } from './gate.ts';
import { Management } from './management.ts';
import { Door, type Session } from './session.ts';

const app = document.getElementById('app');
if (!app) throw new Error('the page has no #app');

async function start(root: HTMLElement): Promise<void> {
  root.replaceChildren(element('div', { class: 'gate waiting', 'aria-busy': 'true' }, element('p', { class: 'muted' }, 'Loading…')));
  try {
    const config = await loadConfig();
    const door = new Door(config);
    const { session, refusal } = await door.open();
    if (session) return showAccount(root, config, door, session);
    root.replaceChildren(gate(config.name, (page) => door.enter(page), refusal));
  } catch (error) {
    console.error(error);
    root.replaceChildren(broken(() => void start(root)));
  }
}

function showAccount(root: HTMLElement, config: Config, door: Door, session: Session): void {
  const api = new Management(config.audience, session);
  const ended = () => {
    root.replaceChildren(gate(config.name, (page) => door.enter(page), undefined, 'Your session has ended. Sign in to go on.'));
    root.querySelector<HTMLElement>('button')?.focus();
  };
  root.replaceChildren(
    element(
      'header',
      { class: 'top' },
      element('div', { class: 'monogram small', 'aria-hidden': 'true' }, [...(config.name ?? 'Doorward')][0]?.toUpperCase() ?? 'D'),
      element('h1', {}, 'Your account'),
      config.name ? element('p', { class: 'muted tenant' }, config.name) : null,
    ),
    element(
      'main',
      { class: 'cards', id: 'main' },
      profileCard(api, ended),
      metadataCard(api, ended),
      permissionsCard(session, ended),
      signOutCard(session),
    ),
  );
}

void start(app);
