/** The accounts that lead here: `identities` of `GET /users/{id}`; linked and unlinked with `update:current_user_identities`. */
import { ask } from '../ask.ts';
import { card, fill, focusTitle } from '../card.ts';
import { announce, button, element } from '../dom.ts';
import { kind, nameOf } from '../identities.ts';
import type { Identity, Management, User } from '../management.ts';
import { Problem } from '../problem.ts';
import type { Account, Ended, Session } from '../session.ts';

const FIELDS: (keyof User)[] = ['user_id', 'identities', 'email', 'username', 'phone_number', 'name', 'nickname'];

/** The card "Linked accounts"; `changed` is called when there are others than before. */
export function linkedAccountsCard(api: Management, session: Session, ended: Ended, changed: () => void): HTMLElement {
  const { section, body } = card('linked-accounts', 'Linked accounts', 'All of these lead to this account, whichever you sign in with.');
  void fill(body, () => api.user(FIELDS), view, ended);
  return section;

  function view(user: User): Node[] {
    const identities = user.identities ?? [];
    const place = element('div', {});
    const link = () => place.replaceChildren(actions(button('Link another account', 'quiet', () => begin(user, place, link))));
    link();
    return [
      element('ul', { class: 'rows' }, ...identities.map((identity, index) => row(user, identity, index === 0))),
      ...(identities.length > 1 ? [] : [element('p', { class: 'empty' }, 'No other account is linked. Do you have a second one here? Link it, and either way of signing in leads to this account.')]),
      place,
    ];
  }

  function row(user: User, identity: Identity, first: boolean): HTMLElement {
    const name = nameOf(identity, first, user);
    const place = element('div', { class: 'below' });
    const unlink = button('Unlink', 'quiet', () => {
      unlink.hidden = true;
      place.replaceChildren(ask(
        {
          title: `Unlink ${name}?`,
          details: ['It becomes an account of its own again, without anything that is kept with this one. Signing in with it no longer leads here.'],
          yes: 'Unlink',
          busy: 'Unlinking…',
          no: 'Keep it',
          danger: true,
        },
        async () => done({ ...user, identities: await api.unlink(identity) }, `${name} is unlinked.`),
        () => {
          place.replaceChildren();
          unlink.hidden = false;
          unlink.focus();
        },
        session,
        ended,
      ));
    });
    unlink.setAttribute('aria-label', `Unlink ${name}`);
    return element(
      'li',
      {},
      element('div', { class: 'avatar small', 'aria-hidden': 'true' }, [...name][0]?.toUpperCase() ?? '?'),
      element('div', {}, element('p', { class: 'row-name' }, name), element('p', { class: 'muted' }, kind(identity))),
      first ? element('span', { class: 'badge' }, 'Main account') : unlink,
      place,
    );
  }

  /** Before the other account: what will happen, and the window, which a press must open or browsers hold it back. */
  function begin(user: User, place: HTMLElement, close: () => void): void {
    let popup: Window | null = null;
    const question = ask(
      {
        title: 'Link another account',
        details: ['Sign in to the other account in a new window. You will see which it is before anything is linked.'],
        yes: 'Open the window',
        busy: 'Waiting for the window…',
        no: 'Cancel',
        waits: true,
      },
      async () => {
        popup = opened();
        if (!popup) throw new Problem('Your browser held the window back. Allow pop-ups for this page, then try again.');
        const other = await session.signInToAnother(popup);
        if (!question.isConnected) return ended('replaced');
        if (other.userId === session.userId) throw new Problem('This account leads here already. Sign in to another one.');
        window.focus();
        confirm(user, other, place);
      },
      () => {
        popup?.close();
        close();
        place.querySelector('button')?.focus();
      },
      session,
      ended,
    );
    place.replaceChildren(question);
  }

  /** After it: the browser's session is the other account's until they are linked, so there is no way back but to sign in again. */
  function confirm(user: User, other: Account, place: HTMLElement): void {
    const name = other.email ?? other.name ?? other.userId;
    place.replaceChildren(ask(
      {
        title: `Link ${name} to this account?`,
        details: [
          'From then on you can sign in with either, and both lead here.',
          'What is kept with the other account is deleted: its metadata, second step and devices. It is signed out everywhere.',
        ],
        yes: 'Link account',
        busy: 'Linking…',
        no: 'Do not link',
      },
      async () => done({ ...user, identities: await api.link(other.idToken) }, `${name} is linked.`),
      () => ended('replaced'),
      session,
      ended,
    ));
  }

  function done(user: User, message: string): void {
    body.replaceChildren(...view(user));
    announce(message);
    focusTitle(body);
    changed();
  }
}

function actions(...buttons: Node[]): HTMLElement {
  return element('div', { class: 'actions' }, ...buttons);
}

/** A small window in the middle of this one. */
function opened(): Window | null {
  const [width, height] = [440, 720];
  const left = Math.round(window.screenX + (window.outerWidth - width) / 2);
  const top = Math.round(window.screenY + (window.outerHeight - height) / 2);
  return window.open('', 'doorward-another-account', `popup,width=${width},height=${height},left=${left},top=${top}`);
}
