/** What an access token says about itself, and what its scopes mean to a person. */
import type { Json } from './management.ts';

/** What this page asks for: all that a person's token can hold for the Management API. The server grants what a person may do to their own account and nothing else. */
export const SCOPES = [
  'openid',
  'profile',
  'email',
  'read:current_user',
  'update:current_user_metadata',
  'create:current_user_metadata',
  'update:current_user_identities',
  'delete:current_user_metadata',
  'create:current_user_device_credentials',
  'delete:current_user_device_credentials',
] as const;

/** In the words of the consent page. */
const MEANINGS: Record<string, string> = {
  openid: 'Recognise you when you come back',
  profile: 'See your name and picture',
  email: 'See your email address',
  'read:current_user': 'See your whole profile and its details',
  'update:current_user_metadata': 'Change your preferences',
  'create:current_user_metadata': 'Add to your preferences',
  'delete:current_user_metadata': 'Remove your second sign-in step',
  'update:current_user_identities': 'Link and unlink your other accounts',
  'create:current_user_device_credentials': 'Register devices that stay signed in',
  'delete:current_user_device_credentials': 'Remove devices that stay signed in',
};

/** One line of the permissions card. */
export interface Permission {
  scope: string;
  /** What it lets this page do, in words; the scope itself where there are none. */
  meaning: string;
  granted: boolean;
}

/** The readable part of an access token. */
export interface Token {
  header: Json;
  claims: Json;
  /** Milliseconds since the epoch. */
  expiresAt: number;
}

/** Reads a JSON Web Token without judging it: the server does that. `undefined` if it is not one. */
export function decode(token: string): Token | undefined {
  const parts = token.split('.');
  if (parts.length !== 3) return undefined;
  try {
    const header = JSON.parse(fromBase64Url(parts[0] ?? '')) as Json;
    const claims = JSON.parse(fromBase64Url(parts[1] ?? '')) as Json;
    return { header, claims, expiresAt: Number(claims.exp) * 1000 };
  } catch {
    return undefined;
  }
}

/** What was asked for and what was granted, in the order asked; anything granted beyond comes last. */
export function permissions(asked: readonly string[], scope: unknown): Permission[] {
  const granted = typeof scope === 'string' ? scope.split(' ').filter(Boolean) : [];
  const all = [...asked, ...granted.filter((name) => !asked.includes(name))];
  return all.map((name) => ({ scope: name, meaning: MEANINGS[name] ?? name, granted: granted.includes(name) }));
}

function fromBase64Url(part: string): string {
  const binary = atob(part.replaceAll('-', '+').replaceAll('_', '/'));
  return new TextDecoder().decode(Uint8Array.from(binary, (character) => character.charCodeAt(0)));
}
