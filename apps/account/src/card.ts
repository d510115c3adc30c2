/** The frame of every section: a heading, and a body that loads by itself. */
import { button, element } from './dom.ts';
import { failure } from './problem.ts';
import { type Ended, SessionEnded } from './session.ts';

/** A titled section; `body` is filled by whoever made it. */
export function card(id: string, title: string, lead: string): { section: HTMLElement; body: HTMLElement } {
  const body = element('div', { class: 'body' });
  const section = element(
    'section',
    { class: 'card', id, 'aria-labelledby': `${id}-title` },
    element('h2', { id: `${id}-title`, tabindex: -1 }, title),
    element('p', { class: 'lead' }, lead),
    body,
  );
  return { section, body };
}

/**
 * Fills a card's body: a skeleton while `load` runs, then what `show` makes of its answer, or what went wrong with a way
 * to try again. `ended` is called when there is no session any more.
 */
export async function fill<T>(
  body: HTMLElement,
  load: () => Promise<T>,
  show: (value: T) => Node[],
  ended: Ended,
): Promise<void> {
  body.setAttribute('aria-busy', 'true');
  body.replaceChildren(skeleton());
  try {
    body.replaceChildren(...show(await load()));
  } catch (error) {
    if (error instanceof SessionEnded) return ended(error.why);
    const again = button('Try again', 'quiet', () => {
      void fill(body, load, show, ended);
      focusTitle(body);
    });
    body.replaceChildren(failure(error), again);
  } finally {
    body.removeAttribute('aria-busy');
  }
}

/** Shows or hides a card, and what leads to it in the list of sections. */
export function reveal(section: HTMLElement, shown: boolean): void {
  section.hidden = !shown;
  const entry = document.querySelector(`.sections a[href="#${section.id}"]`)?.parentElement;
  if (entry) entry.hidden = !shown;
}

/** Moves the focus to the title of the card that `body` belongs to: what had it is gone. */
export function focusTitle(body: HTMLElement): void {
  body.parentElement?.querySelector('h2')?.focus();
}

/** Grey lines in the place of what is coming. */
function skeleton(): HTMLElement {
  return element(
    'div',
    { class: 'skeleton' },
    element('span', { class: 'unseen' }, 'Loading…'),
    ...['w60', 'w90', 'w40'].map((width) => element('div', { class: `line ${width}`, 'aria-hidden': 'true' })),
  );
}
