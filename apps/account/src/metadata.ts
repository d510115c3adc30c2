/** Rules of the metadata editor: what may be typed, and the smallest change that says it. */
import type { Json } from './management.ts';

/** What the editor makes of its text. */
export type Parsed = { value: Json } | { problem: string };

/** The text as an object, or one sentence saying what is wrong with it and where. */
export function parse(text: string): Parsed {
  if (text.trim() === '') return { value: {} };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return { problem: `This is not valid JSON${place(text, error)}.` };
  }
  if (!isObject(value)) return { problem: 'Metadata is an object: start with { and end with }.' };
  const bad = Object.keys(value).find((key) => /[.$]/.test(key));
  if (bad !== undefined) return { problem: `The name “${bad}” may not hold a dot or a dollar sign.` };
  return { value };
}

/**
 * The patch that turns `old` into `next`: changed names with their new values, removed names with `null`.
 * `undefined` when nothing changed: an empty patch would not mean "no change" but "remove everything".
 */
export function patch(old: Json, next: Json): Json | undefined {
  const changed = Object.entries(next).filter(([key, value]) => value !== null && !(Object.hasOwn(old, key) && same(old[key], value)));
  const removed = Object.keys(old).filter((key) => !Object.hasOwn(next, key) || next[key] === null);
  const entries = [...changed, ...removed.map((key): [string, unknown] => [key, null])];
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

/** Whether a value is a JSON object. */
export function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Equality of JSON values; the order of names does not count, that of list items does. */
function same(a: unknown, b: unknown): boolean {
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((item, i) => same(item, b[i]));
  if (isObject(a) && isObject(b)) {
    const keys = Object.keys(a);
    return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && same(a[key], b[key]));
  }
  return a === b;
}

/** ": line 2, column 5", from whichever way the browser's message tells the place. */
function place(text: string, error: unknown): string {
  const message = error instanceof Error ? error.message : '';
  const lined = /line (\d+) column (\d+)/.exec(message);
  if (lined) return `: line ${lined[1]}, column ${lined[2]}`;
  const offset = /position (\d+)/.exec(message)?.[1];
  const before = offset === undefined ? undefined : text.slice(0, Number(offset)).split('\n');
  if (before) return `: line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}`;
  return /end of (JSON )?(input|data)/i.test(message) ? ': it ends too early' : '';
}
