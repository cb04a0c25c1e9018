// An authorization server that is not ours (oidc-provider), dressed as Microsoft's
// login: the token endpoint of one tenant. It reads its settings as JSON from
// stdin, and prints its address once it listens:
//
//	{tenant, scope, graph, clients: [{id, secret?, jwk?}]}
import { createServer } from 'node:http';
import { once } from 'node:events';
import { Provider } from 'oidc-provider';

let input = '';
for await (const chunk of process.stdin) input += chunk;
const settings = JSON.parse(input);

const listener = createServer();
listener.listen(0, '127.0.0.1');
await once(listener, 'listening');
const base = `http://127.0.0.1:${listener.address().port}`;

const clients = settings.clients.map(({ id, secret, jwk }) => ({
  client_id: id, grant_types: ['client_credentials'], redirect_uris: [], response_types: [],
  ...(jwk
    ? { token_endpoint_auth_method: 'private_key_jwt', token_endpoint_auth_signing_alg: 'PS256', jwks: { keys: [jwk] } }
    : { token_endpoint_auth_method: 'client_secret_post', client_secret: secret }),
}));

const provider = new Provider(base, {
  clients,
  clientAuthMethods: ['client_secret_post', 'private_key_jwt'],
  enabledJWA: { clientAuthSigningAlgValues: ['PS256'] },
  routes: { token: `/${settings.tenant}/oauth2/v2.0/token` },
  scopes: [settings.scope],
  extraTokenClaims: (ctx, token) => ({ tid: settings.tenant, appid: token.clientId, roles: ['User.Read.All', 'GroupMember.Read.All'] }),
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => settings.graph,
      getResourceServerInfo: () => ({ scope: settings.scope, audience: settings.graph, accessTokenFormat: 'jwt', accessTokenTTL: 600 }),
    },
  },
});
provider.on('grant.error', (ctx, err) => console.error(err.error, err.error_description, err.error_detail ?? ''));
provider.on('server_error', (ctx, err) => console.error(err));
listener.on('request', provider.callback());
console.log(base);
