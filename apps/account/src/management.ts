/** The Management API calls of this page. All reach only the person signed in: the server sees to that. */
import { ApiError } from './problem.ts';
import { type Proof, type Session, SessionEnded } from './session.ts';

/** A JSON object. */
export type Json = Record<string, unknown>;

/** The parts of a user that the page shows; what was never set is absent. */
export interface User {
  user_id: string;
  name?: string;
  nickname?: string;
  given_name?: string;
  family_name?: string;
  email?: string;
  email_verified?: boolean;
  username?: string;
  phone_number?: string;
  picture?: string;
  created_at?: string;
  updated_at?: string;
  last_login?: string;
  logins_count?: number;
  last_password_reset?: string;
  identities?: Identity[];
  user_metadata?: Json;
  app_metadata?: Json;
}

/** An account that the user can sign in with. The first of them gives the user their id. */
export interface Identity {
  provider: string;
  connection: string;
  user_id: string | number;
  isSocial?: boolean;
  /** What the account was called before it was linked. */
  profileData?: Pick<User, 'name' | 'nickname' | 'email' | 'username' | 'phone_number'>;
}

/** A second step that the user has set up. */
export interface Enrollment {
  id: string;
  status: 'pending' | 'confirmed';
  auth_method?: string;
  name?: string;
  enrolled_at?: string;
  last_auth?: string;
}

/** A public key for `POST /device-credentials`. */
export interface DeviceKey {
  device_name: string;
  /** At most 36 hexadecimal digits and hyphens. */
  device_id: string;
  /** The key, base64. */
  value: string;
}

/** Calls about the person signed in. */
export class Management {
  private readonly me: string;

  constructor(
    /** Where the API is: at the host that gives the tokens, which may be another than the one that its identifier names. */
    private readonly base: string,
    private readonly session: Session,
  ) {
    this.me = `users/${encodeURIComponent(session.userId)}`;
  }

  /** `GET /users/{id}` with only the named fields: `read:current_user`. */
  user(fields: (keyof User)[]): Promise<User> {
    return this.call('GET', `${this.me}?fields=${fields.join(',')}`);
  }

  /** `PATCH /users/{id}`: merges at the first level, `null` removes a key; answers with the whole user. */
  changeMetadata(patch: Json): Promise<User> {
    return this.call('PATCH', this.me, { user_metadata: patch });
  }

  /** `POST /users/{id}/identities` with the ID token of the other account: `update:current_user_identities`. */
  link(idToken: string): Promise<Identity[]> {
    return this.call('POST', `${this.me}/identities`, { link_with: idToken });
  }

  /** `DELETE /users/{id}/identities/{provider}/{user_id}`: answers with the identities that are left. */
  unlink({ provider, user_id }: Identity): Promise<Identity[]> {
    return this.call('DELETE', `${this.me}/identities/${encodeURIComponent(provider)}/${encodeURIComponent(user_id)}`);
  }

  /** `GET /users/{id}/enrollments`: the second step that is set up, or nothing. `read:current_user`. */
  enrollments(): Promise<Enrollment[]> {
    return this.call('GET', `${this.me}/enrollments`);
  }

  /** `DELETE /users/{id}/multifactor/{provider}`: `delete:current_user_metadata`. */
  removeSecondStep(): Promise<void> {
    return this.call('DELETE', `${this.me}/multifactor/google-authenticator`);
  }

  /** `POST /device-credentials`: the id of the new credential. `create:current_user_device_credentials`. */
  registerDevice(key: DeviceKey): Promise<{ id: string }> {
    return this.call('POST', 'device-credentials', { type: 'public_key', ...key });
  }

  /** `DELETE /device-credentials/{id}`: an id that is not there is removed, too. `delete:current_user_device_credentials`. */
  removeDevice(id: string): Promise<void> {
    return this.call('DELETE', `device-credentials/${encodeURIComponent(id)}`);
  }

  private async call<T>(method: string, path: string, body?: Json): Promise<T> {
    let response = await this.send(method, path, body, false);
    // A token that the server no longer takes is replaced once, if the session still stands.
    if (response.status === 401) response = await this.send(method, path, body, true);
    if (response.status === 401) throw new SessionEnded();
    if (!response.ok) throw await apiError(response);
    return (response.status === 204 ? undefined : await response.json()) as T;
  }

  private async send(method: string, path: string, body: Json | undefined, fresh: boolean): Promise<Response> {
    const token = await this.session.token(fresh);
    return fetch(`${this.base}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, ...(body && { 'content-type': 'application/json' }) },
      ...(body && { body: JSON.stringify(body) }),
    });
  }
}

/** What an answer that refuses says, in the words of whichever endpoint it is of. */
export async function apiError(response: Response): Promise<ApiError> {
  const body = (await response.json().catch(() => ({}))) as { message?: string; errorCode?: string; error?: string; error_description?: string };
  const wait = Number(response.headers.get('retry-after'));
  const proof = body.errorCode === 'insufficient_user_authentication' ? proofIn(response.headers.get('www-authenticate') ?? '') : undefined;
  const message = body.message ?? body.error_description ?? body.error ?? `HTTP ${response.status}`;
  return new ApiError(response.status, message, body.errorCode, wait > 0 ? wait : undefined, proof);
}

/** What a challenge says would do (RFC 9470 §3). */
function proofIn(challenge: string): Proof {
  const secondStep = /\bacr_values="/.test(challenge);
  return { secondStep, password: !secondStep || /\bmax_age="/.test(challenge) };
}
