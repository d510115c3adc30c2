import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apiOf, type Config } from './config.ts';

test('the API is called at the host that the page is at', () => {
  const config: Config = { domain: 'login.example.com', client_id: 'c', audience: 'https://id.example.com/api/v2/' };
  assert.equal(apiOf(config), 'https://login.example.com/api/v2/');
});
