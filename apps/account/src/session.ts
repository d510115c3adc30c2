/** The person signed in, and their access token: Auth0's own SDK with the code flow and PKCE. */
import { Auth0Client, GenericError } from '@auth0/auth0-spa-js';
import type { Config } from './config.ts';
import { SCOPES } from './permissions.ts';

/** Why nobody is signed in, if there is more to say than "not yet". */
export type Refusal = { code: string; description: string } | undefined;

/** There is no session any more: the page goes back to its sign-in card. */
export class SessionEnded extends Error {}

/** A signed-in person. */
export interface Session {
  /** The user id, `sub` of the ID token. */
  userId: string;
  /** An access token that is still good; `fresh` asks the server again. Throws `SessionEnded`. */
  token(fresh?: boolean): Promise<string>;
  /** Ends the session on the server and comes back here. */
  signOut(): Promise<void>;
}

const GONE = new Set(['login_required', 'consent_required', 'interaction_required', 'invalid_grant', 'missing_refresh_token']);

/** The page's sign-in, over one SDK client. */
export class Door {
  private readonly client: Auth0Client;
  private readonly home: string;

  constructor(config: Config) {
    this.home = `${window.location.origin}/account/`;
    this.client = new Auth0Client({
      domain: config.domain,
      clientId: config.client_id,
      // Tokens live in memory only: after a reload the server's session gives a new one.
      cacheLocation: 'memory',
      authorizationParams: { redirect_uri: this.home, audience: config.audience, scope: SCOPES.join(' ') },
    });
  }

  /** Finishes a sign-in that has just come back, or finds the running session. */
  async open(): Promise<{ session?: Session; refusal?: Refusal }> {
    const query = new URLSearchParams(window.location.search);
    let refusal: Refusal;
    if (query.has('state') && (query.has('code') || query.has('error'))) {
      try {
        await this.client.handleRedirectCallback();
      } catch (error) {
        refusal = asRefusal(error);
      }
      window.history.replaceState({}, '', '/account/');
    } else {
      await this.client.checkSession().catch((error: unknown) => {
        if (!(error instanceof GenericError)) throw error;
      });
    }
    const user = await this.client.getUser();
    return user?.sub ? { session: this.session(user.sub) } : { refusal };
  }

  /** Goes to the sign-in page, or to the sign-up page. */
  enter(page: 'login' | 'signup'): Promise<void> {
    return this.client.loginWithRedirect(page === 'signup' ? { authorizationParams: { screen_hint: 'signup' } } : {});
  }

  private session(userId: string): Session {
    return {
      userId,
      token: async (fresh = false) => {
        try {
          const token = await this.client.getTokenSilently(fresh ? { cacheMode: 'off' } : {});
          if (token) return token;
        } catch (error) {
          if (error instanceof GenericError && GONE.has(error.error)) throw new SessionEnded();
          throw error;
        }
        throw new SessionEnded();
      },
      signOut: () => this.client.logout({ logoutParams: { returnTo: this.home } }),
    };
  }
}

function asRefusal(error: unknown): Refusal {
  if (error instanceof GenericError) return { code: error.error, description: error.error_description };
  return { code: 'failed', description: error instanceof Error ? error.message : String(error) };
}
