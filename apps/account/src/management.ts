/** The two Management API calls of this page. Both reach only the person signed in: the server sees to that. */
import { type Session, SessionEnded } from './session.ts';

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
  user_metadata?: Json;
  app_metadata?: Json;
}

/** The server said no; `message` is its own text. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    /** Seconds to wait, after 429. */
    readonly retryAfter?: number,
  ) {
    super(message);
  }
}

/** Calls about the person signed in. */
export class Management {
  constructor(
    private readonly audience: string,
    private readonly session: Session,
  ) {}

  /** `GET /users/{id}` with only the named fields. */
  user(fields: (keyof User)[]): Promise<User> {
    return this.call('GET', `?fields=${fields.join(',')}`);
  }

  /** `PATCH /users/{id}`: merges at the first level, `null` removes a key; answers with the whole user. */
  changeMetadata(patch: Json): Promise<User> {
    return this.call('PATCH', '', { user_metadata: patch });
  }

  private async call(method: string, query: string, body?: Json): Promise<User> {
    let response = await this.send(method, query, body, false);
    // A token that the server no longer takes is replaced once, if the session still stands.
    if (response.status === 401) response = await this.send(method, query, body, true);
    if (response.status === 401) throw new SessionEnded();
    if (!response.ok) throw await apiError(response);
    return (await response.json()) as User;
  }

  private async send(method: string, query: string, body: Json | undefined, fresh: boolean): Promise<Response> {
    const token = await this.session.token(fresh);
    return fetch(`${this.audience}users/${encodeURIComponent(this.session.userId)}${query}`, {
      method,
      headers: { authorization: `Bearer ${token}`, ...(body && { 'content-type': 'application/json' }) },
      ...(body && { body: JSON.stringify(body) }),
    });
  }
}

async function apiError(response: Response): Promise<ApiError> {
  const body = (await response.json().catch(() => ({}))) as { message?: string };
  const wait = Number(response.headers.get('retry-after'));
  return new ApiError(response.status, body.message ?? `HTTP ${response.status}`, wait > 0 ? wait : undefined);
}
