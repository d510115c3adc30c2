/** The passwords of a person, and the link by mail that leads to the page where another one is chosen. */
import type { Config } from './config.ts';
import { apiError, type Identity, type User } from './management.ts';

/** A password: of an account in a database connection. Without an address no link to change it can be mailed. */
export interface Password {
  identity: Identity;
  email?: string;
}

/** The passwords that lead to a user, in the order of the accounts they belong to. */
export function passwords(user: User): Password[] {
  return (user.identities ?? []).flatMap((identity, index) => {
    if (identity.provider !== 'auth0' || identity.isSocial) return [];
    // The first account is the user; a linked one has kept its own address.
    const email = index === 0 ? user.email : identity.profileData?.email;
    return [{ identity, ...(email && { email }) }];
  });
}

/** Whether a user has a password as surely as their id tells it: the first account gave them the id, the others may have one too. */
export function startsWithPassword(userId: string): boolean {
  return userId.startsWith('auth0|');
}

/**
 * `POST /dbconnections/change_password`: has a link mailed to the address. It takes no token and answers the same for every
 * address, so that it tells nobody who has an account: that it succeeded is no proof that a letter goes out.
 */
export async function mailLink({ domain, client_id }: Config, email: string, connection: string): Promise<void> {
  const response = await fetch(`https://${domain}/dbconnections/change_password`, {
    method: 'POST',
    credentials: 'omit',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ client_id, email, connection }),
  });
  if (!response.ok) throw await apiError(response);
}
