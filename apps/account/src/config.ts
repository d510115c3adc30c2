/** What the server tells this page about itself, at `/account/config.json`. */
export interface Config {
  /** Host, with the port if it is not 443: what the SDK calls the domain. */
  domain: string;
  /** The account page's own client. */
  client_id: string;
  /** The Management API of this domain. */
  audience: string;
  /** The tenant's name for people, if it has one. */
  name?: string;
}

/** Reads the configuration; throws if the server does not serve one. */
export async function loadConfig(): Promise<Config> {
  const response = await fetch('/account/config.json', { headers: { accept: 'application/json' } });
  if (!response.ok) throw new Error(`config.json answered ${response.status}`);
  const config = (await response.json()) as Partial<Config>;
  if (!config.domain || !config.client_id || !config.audience) throw new Error('config.json is incomplete');
  return config as Config;
}

/** Where the Management API is called: at this page's own host, which the audience need not name. */
export function apiOf({ domain }: Pick<Config, 'domain'>): string {
  return `https://${domain}/api/v2/`;
}
