/** How the accounts of a person are called. */
import type { Identity, User } from './management.ts';

/** Kinds of account by the provider's name; others are called by their connection. */
const KINDS: Record<string, string> = {
  auth0: 'Email and password',
  email: 'Code by email',
  sms: 'Code by text message',
  apple: 'Apple',
  facebook: 'Facebook',
  github: 'GitHub',
  'google-oauth2': 'Google',
  linkedin: 'LinkedIn',
  twitter: 'X',
  windowslive: 'Microsoft',
};

/** What kind of account it is: "Google", "Email and password". */
export function kind({ provider, connection }: Identity): string {
  const known = Object.hasOwn(KINDS, provider) ? KINDS[provider] : undefined;
  return known ?? connection;
}

/** Who it is there: the first identity is the user, the others have kept their own names. */
export function nameOf(identity: Identity, first: boolean, user: User): string {
  const profile = identity.profileData ?? (first ? user : {});
  return profile.email ?? profile.username ?? profile.phone_number ?? profile.name ?? profile.nickname ?? `${identity.provider}|${identity.user_id}`;
}
