/**
 * The second step at sign-in: `GET /users/{id}/enrollments` with `read:current_user`. It is set up on the server's own
 * pages, and reset by `DELETE /users/{id}/multifactor/{provider}` with `delete:current_user_metadata`.
 */
import { ask } from '../ask.ts';
import { card, fill, focusTitle } from '../card.ts';
import { announce, button, element } from '../dom.ts';
import type { Opened } from '../door.ts';
import { instant } from '../format.ts';
import type { Enrollment, Management } from '../management.ts';
import { explain, failure, Problem } from '../problem.ts';
import type { Ended, Session } from '../session.ts';

const METHODS: Record<string, string> = {
  authenticator: 'Authenticator app',
  guardian: 'Push notification',
  sms: 'Text message',
  email: 'Code by email',
  'webauthn-platform': 'This device’s own unlocking',
  'webauthn-roaming': 'Security key',
};

/** The card "Second step"; `back` is what came of setting one up, if the browser returns from that. */
export function secondStepCard(api: Management, session: Session, back: Pick<Opened, 'errand' | 'refusal'>, ended: Ended): HTMLElement {
  const { section, body } = card('second-step', 'Second step', 'A code from your phone besides your password, where a sign-in asks for it.');
  let returned = back.errand === 'second-step';
  void fill(body, () => api.enrollments(), arrive, ended);
  return section;

  /** What is set up now; the first showing also says what came of setting it up. */
  function arrive(enrollments: Enrollment[]): Node[] {
    const confirmed = enrollments.find(({ status }) => status === 'confirmed');
    const nodes = confirmed ? present(confirmed) : absent();
    if (!returned) return nodes;
    returned = false;
    queueMicrotask(() => focusTitle(body));
    if (confirmed && !back.refusal) {
      announce('Your second step is set up.');
      return nodes;
    }
    const why = back.refusal?.code === 'access_denied' ? undefined : back.refusal?.description;
    return [failure(new Problem(`Your second step was not set up.${why ? ` ${sentence(why)}` : ''}`)), ...nodes];
  }

  function absent(): Node[] {
    const setUp: HTMLButtonElement = button('Set up', 'primary', () => {
      setUp.disabled = true;
      setUp.textContent = 'One moment…';
      session.secondStep().catch((error: unknown) => {
        setUp.disabled = false;
        setUp.textContent = 'Set up';
        announce(explain(error));
      });
    });
    setUp.setAttribute('aria-label', 'Set up a second step');
    return [
      element('p', { class: 'empty' }, 'None yet. With one, whoever learns your password still needs your phone where a sign-in asks for it: an app there shows a new code every half minute.'),
      element('div', { class: 'actions' }, setUp),
    ];
  }

  function present(enrollment: Enrollment): Node[] {
    const method = METHODS[enrollment.auth_method ?? ''] ?? enrollment.auth_method ?? 'Second step';
    const place = element('div', {});
    const opener = button('Reset', 'quiet', reset);
    opener.setAttribute('aria-label', 'Reset the second step');
    const close = () => place.replaceChildren(element('div', { class: 'actions' }, opener));
    // The operation ends what an app shows codes for, and nothing else.
    if (enrollment.auth_method === 'authenticator') close();
    else place.replaceChildren(element('p', { class: 'muted note' }, 'Only an administrator can remove this one.'));
    const rows: [string, Node | string | undefined][] = [
      ['Set up', enrollment.enrolled_at && instant(enrollment.enrolled_at)],
      ['Last used', enrollment.last_auth && instant(enrollment.last_auth)],
      ['Name', enrollment.name],
    ];
    const facts = element('dl', { class: 'facts' });
    for (const [term, value] of rows) {
      if (value) facts.append(element('div', {}, element('dt', {}, term), element('dd', {}, value)));
    }
    return [
      element('p', { class: 'with-badge row-name' }, method, element('span', { class: 'badge good' }, 'On')),
      facts,
      place,
    ];

    function reset(): void {
      place.replaceChildren(ask(
        {
          title: 'Reset the second step?',
          details: ['Its codes and its recovery code stop working, and your password alone opens this account until you set up a second step again.'],
          yes: 'Reset',
          busy: 'Resetting…',
          no: 'Keep it',
          danger: true,
        },
        async () => {
          await api.removeSecondStep();
          body.replaceChildren(...arrive(await api.enrollments()));
          announce('Your second step is reset.');
          focusTitle(body);
        },
        () => {
          close();
          opener.focus();
        },
        session,
        ended,
      ));
    }
  }
}

/** The text with a full stop. */
function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
