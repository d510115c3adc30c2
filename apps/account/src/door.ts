/** Signing in: Auth0's own SDK with the code flow and PKCE. */
import { Auth0Client, GenericError, PopupCancelledError, TimeoutError } from '@auth0/auth0-spa-js';
import type { Config } from './config.ts';
import { decode, SCOPES } from './permissions.ts';
import { type Account, NotSignedIn, type Session, SessionEnded } from './session.ts';

/** Why nobody is signed in, if there is more to say than "not yet". */
export type Refusal = { code: string; description: string } | undefined;

/** What somebody left the page for, when it was not to sign in. */
export type Errand = 'second-step' | undefined;

/** What opening the page found. */
export interface Opened {
  session?: Session;
  refusal: Refusal;
  errand: Errand;
}

/** What `acr_values` says to ask for a second step (OpenID Provider Authentication Policy Extension). */
const MULTI_FACTOR = 'http://schemas.openid.net/pape/policies/2007/06/multi-factor';
const GONE = new Set(['login_required', 'consent_required', 'interaction_required', 'invalid_grant', 'missing_refresh_token']);
/** Where the errand is kept while the browser is away. */
const ERRAND = 'errand';

/** The page's sign-in, over one SDK client. */
export class Door {
  private readonly client: Auth0Client;
  private readonly home: string;

  constructor(private readonly config: Config) {
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
  async open(): Promise<Opened> {
    const query = new URLSearchParams(window.location.search);
    const back = query.has('state') && (query.has('code') || query.has('error'));
    let refusal: Refusal;
    if (back) {
      await this.client.handleRedirectCallback().catch((error: unknown) => {
        refusal = asRefusal(error);
      });
      window.history.replaceState({}, '', '/account/');
    }
    // An errand that failed leaves the session as it was.
    const errand = back && window.sessionStorage.getItem(ERRAND) === 'second-step' ? 'second-step' : undefined;
    window.sessionStorage.removeItem(ERRAND);
    if (!back || (refusal && errand)) await this.resume();
    const user = await this.client.getUser();
    return { refusal, errand, ...(user?.sub && { session: this.session(user.sub) }) };
  }

  /** Goes to the sign-in page, or to the sign-up page; `anew` asks for the password even where a session would do. */
  enter(page: 'login' | 'signup', anew = false): Promise<void> {
    return this.client.loginWithRedirect({
      authorizationParams: {
        ...(page === 'signup' && { screen_hint: 'signup' }),
        ...(anew && { prompt: 'login' }),
      },
    });
  }

  private async resume(): Promise<void> {
    await this.client.checkSession().catch((error: unknown) => {
      if (!(error instanceof GenericError)) throw error;
    });
  }

  private session(userId: string): Session {
    return {
      userId,
      token: (fresh = false) => this.token(userId, fresh),
      signInToAnother: (popup) => this.another(popup),
      prove: ({ password, secondStep }) => this.client.loginWithRedirect({
        authorizationParams: { ...(password && { max_age: 0 }), ...(secondStep && { acr_values: MULTI_FACTOR }) },
      }),
      secondStep: () => {
        window.sessionStorage.setItem(ERRAND, 'second-step');
        return this.client.loginWithRedirect({ authorizationParams: { acr_values: MULTI_FACTOR } });
      },
      signOut: () => this.client.logout({ logoutParams: { returnTo: this.home } }),
    };
  }

  private async token(userId: string, fresh: boolean): Promise<string> {
    let token: string | undefined;
    try {
      token = await this.client.getTokenSilently(fresh ? { cacheMode: 'off' } : {});
    } catch (error) {
      if (error instanceof GenericError && GONE.has(error.error)) throw new SessionEnded();
      throw error;
    }
    if (!token) throw new SessionEnded();
    // Somebody else may have signed in in another tab meanwhile: their token is not for what is shown here.
    if (decode(token)?.claims.sub !== userId) throw new SessionEnded('replaced');
    return token;
  }

  /** A client of its own keeps the other account's tokens out of this page's. */
  private async another(popup: Window): Promise<Account> {
    const { domain, client_id } = this.config;
    const client = new Auth0Client({ domain, clientId: client_id, cacheLocation: 'memory', authorizationParams: { redirect_uri: this.home } });
    try {
      await client.loginWithPopup({ authorizationParams: { prompt: 'login', scope: 'openid profile email' } }, { popup, timeoutInSeconds: 600 });
    } catch (error) {
      popup.close();
      throw new NotSignedIn(notSignedIn(error));
    }
    const claims = await client.getIdTokenClaims();
    if (!claims) throw new NotSignedIn('The sign-in gave no proof of the account.');
    return { idToken: claims.__raw, userId: claims.sub, ...(claims.name && { name: claims.name }), ...(claims.email && { email: claims.email }) };
  }
}

function notSignedIn(error: unknown): string {
  if (error instanceof PopupCancelledError) return 'The window was closed before you had signed in.';
  if (error instanceof TimeoutError) return 'Signing in took too long. Please start again.';
  if (error instanceof GenericError) return error.error === 'access_denied' ? 'Access was not given.' : error.error_description;
  return 'The server could not be reached. Check your connection and try again.';
}

function asRefusal(error: unknown): Refusal {
  if (error instanceof GenericError) return { code: error.error, description: error.error_description };
  return { code: 'failed', description: error instanceof Error ? error.message : String(error) };
}
