/** The frame of every section: a heading, and a body that loads by itself. */
import { button, element } from './dom.ts';
import { ApiError } from './management.ts';
import { SessionEnded } from './session.ts';

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
  ended: () => void,
): Promise<void> {
  body.setAttribute('aria-busy', 'true');
  body.replaceChildren(skeleton());
  try {
    body.replaceChildren(...show(await load()));
  } catch (error) {
    if (error instanceof SessionEnded) return ended();
    const again = button('Try again', 'quiet', () => {
      const title = body.parentElement?.querySelector('h2');
      void fill(body, load, show, ended);
      title?.focus();
    });
    body.replaceChildren(element('div', { class: 'failure', role: 'alert' }, element('p', {}, explain(error))), again);
  } finally {
    body.removeAttribute('aria-busy');
  }
}

/** What went wrong and what to do, in a sentence or two. */
export function explain(error: unknown): string {
  if (error instanceof ApiError) {
    if (error.status === 429) {
      return `That was a lot of requests. Wait ${error.retryAfter ?? 'a few'} seconds, then try again.`;
    }
    if (error.status >= 500) return 'The server had a problem. Try again in a moment.';
    return `The server did not accept this: ${error.message}`;
  }
  return 'The server could not be reached. Check your connection and try again.';
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
