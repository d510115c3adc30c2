/** Asks in place before something that is not easily undone. */
import { button, element, listening } from './dom.ts';
import { ApiError, failure } from './problem.ts';
import { type Ended, type Proof, type Session, SessionEnded } from './session.ts';

/** What is asked, and the words on the buttons. */
export interface Question {
  title: string;
  /** What will happen, one paragraph each. */
  details: (string | Node)[];
  yes: string;
  /** On the button while it happens. */
  busy: string;
  no: string;
  /** Whether something is lost by it. */
  danger?: boolean;
  /** Whether `no` can still be said while it happens. */
  waits?: boolean;
}

let count = 0;

/**
 * The question as a group that takes the focus, so that all of it is read out. `yes` may fail: what went wrong is said here
 * and can be tried again, after signing in again where that is what was missing. Escape is `no`.
 */
export function ask(question: Question, yes: () => Promise<void>, no: () => void, session: Session, ended: Ended): HTMLElement {
  const id = `question-${++count}`;
  const problem = element('div', {});
  /** What must be proved before `yes` can do anything. */
  let proof: Proof | undefined;
  const go: HTMLButtonElement = button(question.yes, question.danger ? 'danger' : 'primary', () => void act());
  const stay = button(question.no, 'quiet', no);
  const group = element(
    'div',
    { class: 'question', role: 'group', tabindex: -1, 'aria-labelledby': id, 'aria-describedby': `${id}-details` },
    element('h3', { id }, question.title),
    element('div', { id: `${id}-details` }, ...question.details.map((detail) => element('p', {}, detail))),
    problem,
    element('div', { class: 'actions' }, go, stay),
  );
  listening(group, {
    keydown: (event) => {
      if (event.key === 'Escape' && !stay.disabled) no();
    },
  });
  queueMicrotask(() => group.focus());
  return group;

  async function act(): Promise<void> {
    problem.replaceChildren();
    busy(true);
    try {
      await (proof ? session.prove(proof) : yes());
    } catch (error) {
      if (error instanceof SessionEnded) return ended(error.why);
      if (error instanceof ApiError) proof = error.proof;
      problem.replaceChildren(failure(error));
      busy(false);
      go.focus();
    }
  }

  function busy(now: boolean): void {
    go.disabled = now;
    stay.disabled = now && !question.waits;
    go.textContent = proof ? (now ? 'One moment…' : 'Sign in again') : now ? question.busy : question.yes;
  }
}
