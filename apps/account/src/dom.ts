/** Builds elements. Text is always set as text: nothing here parses markup. */

type Child = Node | string | null | undefined | false;
type Listeners = { [K in keyof HTMLElementEventMap]?: (event: HTMLElementEventMap[K]) => void };
type Attributes = Record<string, string | number | boolean | undefined> & { on?: never };

/** An element with attributes (`true` sets an empty one, `false` and `undefined` none) and children. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(name, '');
    else if (value !== false && value !== undefined) made.setAttribute(name, String(value));
  }
  made.append(...children.filter((child): child is Node | string => child instanceof Node || typeof child === 'string'));
  return made;
}

/** Adds listeners and hands the element back. */
export function listening<E extends HTMLElement>(target: E, listeners: Listeners): E {
  for (const [type, listener] of Object.entries(listeners)) {
    target.addEventListener(type, listener as EventListener);
  }
  return target;
}

/** A real button; `kind` is one of the looks in the style sheet. */
export function button(label: string, kind: 'primary' | 'quiet' | 'danger', press: () => void): HTMLButtonElement {
  return listening(element('button', { type: 'button', class: `button ${kind}` }, label), { click: press });
}

/** Says something to everybody: shown for a while, and read out by screen readers. */
export function announce(message: string): void {
  const status = document.getElementById('status');
  if (!status) return;
  status.textContent = message;
  window.setTimeout(() => {
    if (status.textContent === message) status.textContent = '';
  }, 6000);
}
