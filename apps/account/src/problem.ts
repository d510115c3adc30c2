/** What went wrong, in words. */
import { element } from './dom.ts';
import type { Proof } from './session.ts';

/** Something that went wrong and says so in words for the person. */
export class Problem extends Error {}

/** The server said no; `message` is its own text. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    /** Names the reason for programs, where the server gives one. */
    readonly code?: string,
    /** Seconds to wait, after 429. */
    readonly retryAfter?: number,
    /** What would do, where the sign-in was too long ago or not sure enough. */
    readonly proof?: Proof,
  ) {
    super(message);
  }
}

/** What went wrong, shown at once and read out. */
export function failure(error: unknown): HTMLElement {
  return element('div', { class: 'failure', role: 'alert' }, element('p', {}, explain(error)));
}

/** What went wrong and what to do, in a sentence or two. */
export function explain(error: unknown): string {
  if (error instanceof Problem) return error.message;
  if (error instanceof ApiError) {
    if (error.status === 429) {
      return `That was a lot of requests. Wait ${error.retryAfter ?? 'a few'} seconds, then try again.`;
    }
    if (error.proof) return `To be sure that it is you, this asks for ${error.proof.secondStep ? 'your second step' : 'your password'} again first.`;
    if (error.status >= 500) return 'The server had a problem. Try again in a moment.';
    return `The server did not accept this: ${error.message}`;
  }
  return 'The server could not be reached. Check your connection and try again.';
}
