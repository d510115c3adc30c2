/** The way out. */
import { card } from '../card.ts';
import { announce, button, element } from '../dom.ts';
import { explain } from '../problem.ts';
import type { Session } from '../session.ts';

/** The card that ends the session in this browser. */
export function signOutCard(session: Session): HTMLElement {
  const { section, body } = card('sign-out', 'Sign out', 'Ends your session in this browser. Apps that share it will ask you to sign in again.');
  const out = button('Sign out', 'danger', () => {
    out.disabled = true;
    out.textContent = 'Signing out…';
    session.signOut().catch((error: unknown) => {
      out.disabled = false;
      out.textContent = 'Sign out';
      announce(explain(error));
    });
  });
  body.append(element('div', { class: 'actions' }, out));
  return section;
}
