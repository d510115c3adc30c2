/** Who is signed in: `GET /users/{id}` with `read:current_user`. */
import { card, fill } from '../card.ts';
import { element } from '../dom.ts';
import { instant } from '../format.ts';
import type { Management, User } from '../management.ts';
import type { Ended } from '../session.ts';

const FIELDS: (keyof User)[] = [
  'user_id', 'name', 'nickname', 'given_name', 'family_name', 'email', 'email_verified', 'username', 'phone_number',
  'picture', 'created_at', 'last_login', 'logins_count',
];

/** The profile card. */
export function profileCard(api: Management, ended: Ended): HTMLElement {
  const { section, body } = card('profile', 'Profile', 'Who you are to the apps you sign in to.');
  void fill(body, () => api.user(FIELDS), show, ended);
  return section;
}

function show(user: User): Node[] {
  const name = user.name ?? user.nickname ?? user.email ?? user.user_id;
  const head = element(
    'div',
    { class: 'person' },
    avatar(name, user.picture),
    element(
      'div',
      {},
      element('p', { class: 'person-name' }, name),
      user.email ? element('p', { class: 'with-badge muted' }, user.email !== name ? user.email : null, verified(user)) : null,
    ),
  );
  const full = [user.given_name, user.family_name].filter(Boolean).join(' ');
  const rows: [string, string | Node | undefined][] = [
    ['Username', user.username],
    ['Full name', full !== name ? full : undefined],
    ['Nickname', user.nickname !== name ? user.nickname : undefined],
    ['Phone', user.phone_number],
    ['Last sign-in', user.last_login && instant(user.last_login)],
    ['Sign-ins', user.logins_count === undefined ? undefined : String(user.logins_count)],
    ['Member since', user.created_at && instant(user.created_at)],
    ['User ID', element('code', {}, user.user_id)],
  ];
  const list = element('dl', { class: 'facts' });
  for (const [term, value] of rows) {
    if (value) list.append(element('div', {}, element('dt', {}, term), element('dd', {}, value)));
  }
  return [head, list];
}

/** Whether the address was proved. */
function verified(user: User): Node {
  const proved = user.email_verified === true;
  return element('span', { class: proved ? 'badge good' : 'badge' }, proved ? 'Verified email' : 'Email not verified');
}

/** The first letter of the name, and over it the picture once it has loaded. */
function avatar(name: string, picture: string | undefined): Node {
  const frame = element('div', { class: 'avatar', 'aria-hidden': 'true' }, [...name.trim()][0]?.toUpperCase() ?? '?');
  if (picture && !generated(picture)) {
    const image = element('img', { alt: '', referrerpolicy: 'no-referrer', width: 64, height: 64 });
    image.addEventListener('load', () => frame.append(image));
    image.src = picture;
  }
  return frame;
}

/** The default picture of a new user lives at Gravatar: fetching it would tell a third party who signs in here. */
function generated(picture: string): boolean {
  try {
    return /(^|\.)gravatar\.com$/.test(new URL(picture).hostname);
  } catch {
    return true;
  }
}
