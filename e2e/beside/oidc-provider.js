// node's oidc-provider, to be measured beside Doorward: one worker a core, no database, signed access tokens for one API.
import cluster from 'node:cluster';
import { generateKeyPairSync } from 'node:crypto';
import { availableParallelism } from 'node:os';
import Provider from 'oidc-provider';

const port = Number(process.argv[2]);

if (cluster.isPrimary) {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const JWK = JSON.stringify({ ...privateKey.export({ format: 'jwk' }), kid: 'bench', alg: 'RS256', use: 'sig' });
  for (let worker = 0; worker < availableParallelism(); worker += 1) cluster.fork({ JWK });
  process.on('SIGTERM', () => {
    for (const worker of Object.values(cluster.workers)) worker.kill();
    process.exit(0);
  });
} else {
  const api = 'https://api.bench.test';
  const provider = new Provider(`http://127.0.0.1:${port}`, {
    jwks: { keys: [JSON.parse(process.env.JWK)] },
    clients: [
      {
        client_id: 'bench',
        client_secret: 'bench-secret-of-some-length',
        token_endpoint_auth_method: 'client_secret_post',
        grant_types: ['client_credentials'],
        redirect_uris: [],
        response_types: [],
      },
    ],
    scopes: ['openid', 'read:users'],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: () => ({
          scope: 'read:users',
          audience: api,
          accessTokenTTL: 86400,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: 'RS256' } },
        }),
      },
    },
  });
  provider.listen(port, '127.0.0.1');
}
