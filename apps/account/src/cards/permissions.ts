/** What this page's access token allows, read from the token itself. */
import { card, fill } from '../card.ts';
import { element } from '../dom.ts';
import { instant } from '../format.ts';
import { decode, type Permission, permissions, SCOPES, type Token } from '../permissions.ts';
import type { Session } from '../session.ts';

/** The card "Permissions of this session". */
export function permissionsCard(session: Session, ended: () => void): HTMLElement {
  const { section, body } = card(
    'permissions',
    'Permissions of this session',
    'What this page may do in your name. It can reach your own account and nobody else’s.',
  );
  void fill(body, () => session.token(), show, ended);
  return section;
}

function show(raw: string): Node[] {
  const token = decode(raw);
  if (!token) return [element('p', { class: 'empty' }, 'This session’s token cannot be read here. The server alone knows what it allows.')];
  return [
    element('ul', { class: 'permissions' }, ...permissions(SCOPES, token.claims.scope).map(line)),
    facts(token),
    element(
      'details',
      {},
      element('summary', {}, 'Show the decoded token'),
      element('pre', { tabindex: 0, 'aria-label': 'Decoded token' }, JSON.stringify({ header: token.header, claims: token.claims }, null, 2)),
    ),
  ];
}

function line(permission: Permission): HTMLElement {
  return element(
    'li',
    {},
    element('span', { class: permission.granted ? 'mark yes' : 'mark no', 'aria-hidden': 'true' }, permission.granted ? '✓' : '–'),
    element('span', { class: 'meaning' }, permission.meaning, element('code', {}, permission.scope)),
    element('span', { class: permission.granted ? 'badge good' : 'badge' }, permission.granted ? 'Granted' : 'Not granted'),
  );
}

function facts(token: Token): HTMLElement {
  const { aud, azp } = token.claims;
  const rows: [string, Node | string][] = [
    ['Good until', instant(token.expiresAt)],
    ['For', element('span', {}, ...(Array.isArray(aud) ? aud : [aud]).map((one) => element('code', { class: 'block' }, String(one))))],
    ['Given to', element('code', {}, String(azp))],
    ['Signed with', element('code', {}, String(token.header.alg))],
  ];
  return element('dl', { class: 'facts' }, ...rows.map(([term, value]) => element('div', {}, element('dt', {}, term), element('dd', {}, value))));
}
