/** The person signed in, as the cards know them. `door.ts` makes one with Auth0's SDK. */
import { Problem } from './problem.ts';

/** Why there is no session any more: it is over, or the browser's session is somebody else's now. */
export type Why = 'over' | 'replaced';

/** There is no session any more: the page goes back to its sign-in card. */
export class SessionEnded extends Error {
  constructor(readonly why: Why = 'over') {
    super(`session ${why}`);
  }
}

/** What is called when there is no session any more. */
export type Ended = (why: Why) => void;

/** A signed-in person. */
export interface Session {
  /** The user id, `sub` of the ID token. */
  userId: string;
  /** An access token that is still good; `fresh` asks the server again. Throws `SessionEnded`. */
  token(fresh?: boolean): Promise<string>;
  /**
   * Has the person sign in to another of their accounts in `popup`. The token of this one stays as it is; the browser's
   * session becomes the other's. Throws `NotSignedIn`.
   */
  signInToAnother(popup: Window): Promise<Account>;
  /** Has the person prove anew who they are, as a refused call asked for, and comes back here. */
  prove(proof: Proof): Promise<void>;
  /** Goes through the second step, setting it up where there is none, and comes back here. */
  secondStep(): Promise<void>;
  /** Ends the session on the server and comes back here. */
  signOut(): Promise<void>;
}

/** What a call asks for that wants a later or a surer sign-in (RFC 9470). */
export interface Proof {
  /** The password again. */
  password: boolean;
  /** The second step, too. */
  secondStep: boolean;
}

/** Another account of the person, proved by signing in to it. */
export interface Account {
  /** The proof: what linking takes as `link_with`. */
  idToken: string;
  /** Its user id. */
  userId: string;
  name?: string;
  email?: string;
}

/** The other account was not signed in to; the message says why, in words. */
export class NotSignedIn extends Problem {}
