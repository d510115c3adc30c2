/** What this page's access token allows, read from the token itself. */
import { card, fill } from '../card.ts';
import { element } from '../dom.ts';
import { instant } from '../format.ts';
import { decode, type Permission, permissions, SCOPES, type Token } from '../permissions.ts';
import type { Ended, Session } from '../session.ts';

/** What is not about the account but about signing in to it. */
const OPENID = new Set(['openid', 'profile', 'email', 'offline_access']);

/** The card "Permissions of this session". */
export function permissionsCard(session: Session, ended: Ended): HTMLElement {
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
  const all = permissions(SCOPES, token.claims.scope);
  const [account, identity] = [all.filter(({ scope }) => !OPENID.has(scope)), all.filter(({ scope }) => OPENID.has(scope))];
  return [
    element('h3', {}, 'Your account'),
    list(account),
    element('h3', {}, 'Signing in'),
    list(identity),
    element('h3', {}, 'The token'),
    facts(token),
    element(
      'details',
      {},
      element('summary', {}, 'Show the decoded token'),
      element('pre', { tabindex: 0, 'aria-label': 'Decoded token' }, JSON.stringify({ header: token.header, claims: token.claims }, null, 2)),
    ),
  ];
}

function list(all: Permission[]): HTMLElement {
  return element('ul', { class: 'permissions' }, ...all.map(line));
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
  const { iss, sub, aud, azp } = token.claims;
  const code = (value: unknown) => element('code', { class: 'block' }, String(value));
  const rows: [string, Node | string][] = [
    ['Opens', code(sub)],
    ['Good until', instant(token.expiresAt)],
    ['Given to', code(azp)],
    ['Taken by', element('span', {}, ...(Array.isArray(aud) ? aud : [aud]).map(code))],
    ['Issued by', code(iss)],
    ['Signed with', code(token.header.alg)],
  ];
  return element('dl', { class: 'facts' }, ...rows.map(([term, value]) => element('div', {}, element('dt', {}, term), element('dd', {}, value))));
}
