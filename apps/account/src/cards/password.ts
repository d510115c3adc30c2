/**
 * The passwords: `identities` of `GET /users/{id}` with `read:current_user`. No scope of a person writes one, so another is chosen on the
 * server's own page, behind a link that `POST /dbconnections/change_password` mails.
 */
import { ask } from '../ask.ts';
import { card, fill, focusTitle, reveal } from '../card.ts';
import type { Config } from '../config.ts';
import { announce, button, element } from '../dom.ts';
import { instant } from '../format.ts';
import { kind } from '../identities.ts';
import type { Management, User } from '../management.ts';
import { mailLink, type Password, passwords, startsWithPassword } from '../password.ts';
import { type Ended, type Session, SessionEnded } from '../session.ts';

const FIELDS: (keyof User)[] = ['user_id', 'identities', 'email', 'last_password_reset'];

/** The card "Password", hidden from who has none. `reload` looks again which there are. */
export function passwordCard(config: Config, api: Management, session: Session, ended: Ended): { section: HTMLElement; reload: () => void } {
  const { section, body } = card('password', 'Password', 'You choose a new one on a page that a mailed link leads to.');
  /** Whether this page looks for a new password, which it does once it has asked for a link. */
  let watching = false;
  /** When a password was last changed, as far as this page knows. */
  let changedAt: string | undefined;
  const reload = () => void fill(body, () => api.user(FIELDS), view, ended);
  reveal(section, startsWithPassword(session.userId));
  reload();
  return { section, reload };

  function view(user: User): Node[] {
    const all = passwords(user);
    reveal(section, all.length > 0);
    changedAt = user.last_password_reset;
    const mailed = all.flatMap(({ identity, email }) => (email ? [{ identity, email }] : []));
    if (mailed.length === 0) {
      return [element('p', { class: 'empty' }, 'No email address is known here that a link could go to. Whoever runs this service can set another password for you.')];
    }
    const several = mailed.length > 1;
    // Which of several it was is nowhere told.
    const changed = user.last_password_reset && several
      ? element('p', { class: 'muted note' }, 'A password was last changed ', instant(user.last_password_reset), '.')
      : null;
    const directories = new Set(mailed.map(({ identity }) => identity.connection));
    const about = ({ identity }: Password): (Node | string)[] => {
      if (directories.size > 1) return [identity.connection];
      return user.last_password_reset && !several ? ['Last changed ', instant(user.last_password_reset)] : [kind(identity)];
    };
    return [
      element('ul', { class: 'rows plain' }, ...mailed.map((password) => row(password, several, about(password)))),
      ...(changed ? [changed] : []),
    ];
  }

  function row({ identity, email }: Required<Password>, several: boolean, line: (Node | string)[]): HTMLElement {
    const place = element('div', { class: 'below' });
    const change = button('Change password', 'quiet', () => {
      change.hidden = true;
      place.replaceChildren(ask(
        {
          title: `Change the password of ${email}?`,
          details: [
            'A link goes to this address. It leads to a page where you choose the new password; until then the old one stays.',
            'The new one signs you out everywhere, here too. Sign in with it to go on.',
          ],
          yes: 'Send the link',
          busy: 'Sending…',
          no: 'Cancel',
        },
        async () => {
          await mailLink(config, email, identity.connection);
          place.replaceChildren(asked(email));
          change.hidden = false;
          announce('Check your email for the link.');
          focusTitle(body);
          watch();
        },
        () => {
          place.replaceChildren();
          change.hidden = false;
          change.focus();
        },
        session,
        ended,
      ));
    });
    if (several) change.setAttribute('aria-label', `Change password of ${email}`);
    return element(
      'li',
      {},
      element('div', {}, element('p', { class: 'row-name' }, email), element('p', { class: 'muted' }, ...line)),
      change,
      place,
    );
  }

  /** The person comes back, perhaps from the page where they have chosen a new password: then their sessions are over, but for a new one. */
  function watch(): void {
    if (watching) return;
    watching = true;
    let looking = false;
    const look = async () => {
      if (looking || document.visibilityState !== 'visible') return;
      looking = true;
      try {
        if (section.isConnected) await notice();
      } catch (error) {
        // What goes wrong here is told by the next thing that the person does.
        if (error instanceof SessionEnded && section.isConnected) ended(error.why);
      }
      looking = false;
      if (section.isConnected) return;
      document.removeEventListener('visibilitychange', look);
      window.removeEventListener('focus', look);
    };
    document.addEventListener('visibilitychange', look);
    window.addEventListener('focus', look);
  }

  async function notice(): Promise<void> {
    const user = await api.user(FIELDS);
    if (user.last_password_reset === changedAt) return;
    await session.token(true);
    const focused = body.contains(document.activeElement);
    body.replaceChildren(...view(user));
    announce('Your password is changed.');
    if (focused) focusTitle(body);
  }
}

/** What follows from asking. Whether a letter was sent is not told: the answer is the same for everybody. */
function asked(email: string): HTMLElement {
  return element(
    'div',
    { class: 'notice' },
    element('p', {}, `Check your email: the link should reach ${email} within a few minutes. Look in the spam folder, too.`),
    element('p', { class: 'muted' }, 'None came? Only a few are sent in an hour, and not every password can be changed this way.'),
  );
}
