/** The way to what apps ask a person who is elsewhere: they are answered on a page of the server's, in its own session. */
import { card } from '../card.ts';
import { element } from '../dom.ts';

/** The card "Requests of apps". */
export function appRequestsCard(): HTMLElement {
  const { section, body } = card(
    'app-requests',
    'Requests of apps',
    'An app or a person that you are dealing with may ask here whether it is really you, a call centre for example.',
  );
  body.append(element('div', { class: 'actions' }, element('a', { class: 'button quiet', href: '/u/authorization-requests' }, 'Look at requests')));
  return section;
}
