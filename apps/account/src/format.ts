/** Values as people read them. */
import { element } from './dom.ts';
import type { Json } from './management.ts';
import { isObject } from './metadata.ts';

const DATE = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });

/** A time in the reader's own zone, with the exact one for machines. */
export function instant(iso: string | number): Node {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return document.createTextNode(String(iso));
  return element('time', { datetime: date.toISOString() }, DATE.format(date));
}

/** A JSON object as a list of names and values, nested where it nests. */
export function readable(object: Json): Node {
  const list = element('dl', { class: 'facts metadata' });
  for (const [key, value] of Object.entries(object)) {
    list.append(element('div', {}, element('dt', {}, key), element('dd', {}, one(value))));
  }
  return list;
}

function one(value: unknown): Node | string {
  if (isObject(value)) return Object.keys(value).length === 0 ? faint('empty') : readable(value);
  if (Array.isArray(value)) {
    if (value.length === 0) return faint('empty list');
    return element('ul', {}, ...value.map((item) => element('li', {}, one(item))));
  }
  if (value === null) return faint('null');
  if (value === '') return faint('empty text');
  if (typeof value === 'boolean') return value ? 'Yes' : 'No';
  return String(value);
}

function faint(text: string): Node {
  return element('span', { class: 'muted' }, text);
}
