/** This browser as a device: a key pair whose private half no script can read. */
import { Problem } from './problem.ts';

/** What the browser remembers of its registration. */
export interface Device {
  /** Whose device it is: several people may use one browser. */
  user_id: string;
  device_id: string;
  device_name: string;
  /** The private key cannot be taken out of the browser. */
  keys: CryptoKeyPair;
  /** The id of the credential at the server, which alone can remove it. */
  credential_id: string;
  /** Milliseconds since the epoch. */
  registered_at: number;
}

/** A new key pair for signing; only its public half can be exported. */
export function newKeys(): Promise<CryptoKeyPair> {
  return crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign', 'verify']);
}

/** The public key as `value` of a device credential: SubjectPublicKeyInfo, base64. */
export async function publicKey(keys: CryptoKeyPair): Promise<string> {
  const bytes = new Uint8Array(await crypto.subtle.exportKey('spki', keys.publicKey));
  return btoa(String.fromCharCode(...bytes));
}

/** Sixteen bytes of the public key's SHA-256, as people compare them. */
export async function fingerprint(keys: CryptoKeyPair): Promise<string> {
  const hash = await crypto.subtle.digest('SHA-256', await crypto.subtle.exportKey('spki', keys.publicKey));
  const digits = [...new Uint8Array(hash, 0, 16)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return digits.match(/.{4}/g)?.join(' ') ?? digits;
}

/** By the word in the user agent. The order counts: most browsers also call themselves by the names of others. */
const BROWSERS: [RegExp, string][] = [[/Edg/, 'Edge'], [/OPR/, 'Opera'], [/Firefox|FxiOS/, 'Firefox'], [/Chrome|CriOS/, 'Chrome'], [/Safari/, 'Safari']];
const SYSTEMS: [RegExp, string][] = [
  [/iPhone/, 'iPhone'], [/iPad/, 'iPad'], [/Android/, 'Android'], [/CrOS/, 'ChromeOS'], [/Windows/, 'Windows'], [/Macintosh/, 'Mac'], [/Linux/, 'Linux'],
];

/** A name to start from: "Firefox on Windows". */
export function nameOfBrowser(agent: string): string {
  const first = (names: [RegExp, string][]) => names.find(([word]) => word.test(agent))?.[1];
  const system = first(SYSTEMS);
  return `${first(BROWSERS) ?? 'Browser'}${system ? ` on ${system}` : ''}`;
}

/** What is remembered for a user, if anything. */
export function recall(userId: string): Promise<Device | undefined> {
  return stored('readonly', (store) => store.get(userId));
}

/** Remembers a registration in place of an earlier one. */
export async function remember(device: Device): Promise<void> {
  await stored('readwrite', (store) => store.put(device));
}

/** Forgets a user's registration, and with it the private key. */
export async function forget(userId: string): Promise<void> {
  await stored('readwrite', (store) => store.delete(userId));
}

/** One request to the browser's own database; it is done when the transaction is. */
async function stored<T>(mode: IDBTransactionMode, request: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  try {
    const database = await opened();
    try {
      const transaction = database.transaction('devices', mode);
      const made = request(transaction.objectStore('devices'));
      await new Promise<void>((resolve, reject) => {
        transaction.oncomplete = () => resolve();
        transaction.onabort = () => reject(transaction.error);
      });
      return made.result;
    } finally {
      database.close();
    }
  } catch {
    throw new Problem('This browser keeps nothing for this page, as in some private windows. Try again in an ordinary window.');
  }
}

function opened(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open('doorward-account', 1);
    request.onupgradeneeded = () => request.result.createObjectStore('devices', { keyPath: 'user_id' });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
