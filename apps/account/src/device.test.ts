import assert from 'node:assert/strict';
import { createHash, createPublicKey } from 'node:crypto';
import { test } from 'node:test';
import { fingerprint, nameOfBrowser, newKeys, publicKey } from './device.ts';

test('only the public half of a key can leave the browser', async () => {
  const keys = await newKeys();
  await assert.rejects(crypto.subtle.exportKey('pkcs8', keys.privateKey), /not extractable/);
  const der = Buffer.from(await publicKey(keys), 'base64');
  const key = createPublicKey({ key: der, format: 'der', type: 'spki' });
  assert.equal(key.asymmetricKeyDetails?.namedCurve, 'prime256v1');
  const hash = createHash('sha256').update(der).digest('hex').slice(0, 32);
  assert.equal((await fingerprint(keys)).replaceAll(' ', ''), hash);
  assert.match(await fingerprint(keys), /^([0-9a-f]{4} ){7}[0-9a-f]{4}$/);
});

test('a browser is named as its owner would', () => {
  const apple = 'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)';
  const chrome = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36';
  for (const [agent, name] of [
    [chrome, 'Chrome on Linux'],
    [chrome.replace('X11; Linux x86_64', 'X11; CrOS x86_64 14541.0.0'), 'Chrome on ChromeOS'],
    [chrome.replace('X11; Linux x86_64', 'Linux; Android 10; K'), 'Chrome on Android'],
    [`${chrome.replace('X11; Linux x86_64', 'Windows NT 10.0; Win64; x64')} Edg/131.0.0.0`, 'Edge on Windows'],
    [`${chrome} OPR/116.0.0.0`, 'Opera on Linux'],
    ['Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:133.0) Gecko/20100101 Firefox/133.0', 'Firefox on Windows'],
    [`${apple} Version/18.1 Safari/605.1.15`, 'Safari on Mac'],
    ['Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/131.0 Mobile/15E148 Safari/604.1', 'Chrome on iPhone'],
    ['curl/8', 'Browser'],
  ] as const) {
    assert.equal(nameOfBrowser(agent), name);
  }
});
