/** What somebody sees who is not signed in, and what anybody sees when the page cannot start. */
import { button, element } from './dom.ts';
import type { Refusal } from './door.ts';

/** The sign-in card; `notice` is shown above it as news, `refusal` as what went wrong. */
export function gate(name: string | undefined, enter: (page: 'login' | 'signup') => Promise<void>, refusal: Refusal, notice?: string): HTMLElement {
  const go = (pressed: HTMLButtonElement, page: 'login' | 'signup') => {
    pressed.disabled = true;
    void enter(page).catch(() => {
      pressed.disabled = false;
    });
  };
  const signIn: HTMLButtonElement = button('Sign in', 'primary', () => go(signIn, 'login'));
  const signUp: HTMLButtonElement = button('Create an account', 'quiet', () => go(signUp, 'signup'));
  // Focus lands on the button, and with it the reason is read out.
  if (notice) signIn.setAttribute('aria-describedby', 'notice');
  return element(
    'main',
    { class: 'gate', id: 'main' },
    element('div', { class: 'monogram', 'aria-hidden': 'true' }, [...(name ?? 'Doorward')][0]?.toUpperCase() ?? 'D'),
    element('h1', {}, 'Your account'),
    element('p', { class: 'lead' }, name ? `Sign in to see and change what ${name} knows about you.` : 'Sign in to see and change what is known about you.'),
    refusal ? element('div', { class: 'failure', role: 'alert' }, element('p', {}, refused(refusal))) : null,
    notice ? element('p', { class: 'notice', id: 'notice' }, notice) : null,
    signIn,
    signUp,
  );
}

/** The page itself could not start. */
export function broken(again: () => void): HTMLElement {
  return element(
    'main',
    { class: 'gate', id: 'main' },
    element('h1', {}, 'Your account'),
    element('div', { class: 'failure', role: 'alert' }, element('p', {}, 'This page could not be loaded. Check your connection and try again.')),
    button('Try again', 'primary', again),
  );
}

function refused({ code, description }: NonNullable<Refusal>): string {
  if (code === 'access_denied') return 'You were not signed in, because access was not given. You can try again.';
  if (code === 'failed' && /state/i.test(description)) return 'This sign-in was started too long ago or in another window. Please start again.';
  return `You were not signed in: ${description}`;
}
