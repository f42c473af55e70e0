// The providers, put together: one a `spec.type`. A new one is a line here.

import type { Settings } from '../config/settings.ts'
import { systemClock as clock, systemEntropy as entropy } from '../config/system.ts'
import { loadOrCreateDocument } from '../issuer/key-store.ts'
import type { KubeClient } from '../kube/client.ts'
import type { Seal } from '../lib/seal.ts'
import { createNamespaceGuard } from '../outbound/addresses.ts'
import { createHttp } from '../outbound/http.ts'
import type { ReadHanded } from '../ports/handed.ts'
import type { ClientAssertions, Logins } from '../ports/login.ts'
import type { FindProvider, Provider } from '../ports/provider.ts'
import { createAwsProvider } from '../providers/aws/provider.ts'
import { createStsWire } from '../providers/aws/wire.ts'
import { createHandedKeys } from '../providers/github-app/app.ts'
import { createGithubAppProvider } from '../providers/github-app/provider.ts'
import { createGithubWire } from '../providers/github-app/wire.ts'
import { createOauthProvider } from '../providers/oauth/provider.ts'
import { createOauthWire } from '../providers/oauth/wire.ts'
import { createHandedLogins } from '../providers/postgres/logins.ts'
import { createPostgresProvider } from '../providers/postgres/provider.ts'
import { createWire } from '../providers/postgres/wire.ts'
import { createRegistry } from '../providers/registry.ts'
import { createServiceAccountTokenProvider } from '../providers/service-account-token/provider.ts'
import { createStaticProvider } from '../providers/static/provider.ts'
import { createVaultProvider } from '../providers/vault/provider.ts'
import { createWire as createVaultWire } from '../providers/vault/wire.ts'
import { createWebhookProvider } from '../providers/webhook/provider.ts'
import { createWebhookWire } from '../providers/webhook/wire.ts'
import { createAnchoredTokens } from '../runtime/anchored.ts'
import { createReadHanded } from '../runtime/handed.ts'
import { createPasswords, passwordKey } from '../runtime/ledger/passwords.ts'
import { createKeyStore, createLoginReader, createSecretReader, createValueReader, names } from '../runtime/storage.ts'
import { must } from './basics.ts'

export interface Providers {
  readonly find: FindProvider
  /** what those are handed */
  readonly readHanded: ReadHanded
  /** Closes the connections to all sources. */
  close(): Promise<void>
}

/** @param prefix what all handles of this installation begin with */
export async function buildProviders(
  { namespace, serviceAccount, clusterNetworks, namespaceProviders }: Settings,
  client: KubeClient,
  {
    jwt,
    logins,
    clientAssertions: assertions,
  }: { readonly jwt: Provider<never>; readonly logins: Logins; readonly clientAssertions: ClientAssertions },
  seal: Seal,
  prefix: string,
): Promise<Providers> {
  const [sql, http] = [createWire(clusterNetworks), createHttp(clusterNetworks)]
  const passwords = must(await loadOrCreateDocument(createKeyStore(client, namespace, names.passwordKey), passwordKey(entropy)))
  const readLogin = createLoginReader(client, namespace)
  const readKey = createSecretReader(client, namespace)
  const githubApp = createGithubAppProvider({ wire: createGithubWire(http), clock, readKey, prefix })
  const postgres = createPostgresProvider({ wire: sql, clock, entropy, readLogin, password: createPasswords(passwords), prefix })
  const webhook = createWebhookProvider({ wire: createWebhookWire(http), logins, readKey, clock, prefix })
  const vault = createVaultProvider({ wire: createVaultWire(http), clock, logins, prefix })
  const aws = createAwsProvider({ wire: createStsWire(http), clock, logins, prefix })
  const existing = createStaticProvider({ readValue: createValueReader(client, namespace), clock, prefix })
  const serviceAccountToken = createServiceAccountTokenProvider({ tokens: createAnchoredTokens(client), clock, prefix, namespace })
  const oauth = createOauthProvider({ wire: createOauthWire(http), clock, entropy, logins, assertions, prefix })
  // apart from the cluster's: connections, guards and what is remembered of servers are never shared between the two
  const guard = createNamespaceGuard(clusterNetworks, namespaceProviders.addresses)
  const [namespaceSql, namespaceHttp] = [createWire([], guard), createHttp([], guard)]
  const read = createReadHanded({ client, seal, namespace, serviceAccount, prefix })
  const local = {
    githubApp: createGithubAppProvider({ wire: createGithubWire(namespaceHttp), clock, readKey: createHandedKeys(read), prefix }),
    postgres: createPostgresProvider({
      wire: namespaceSql,
      clock,
      entropy,
      readLogin: createHandedLogins(read),
      password: createPasswords(passwords),
      prefix,
    }),
  }
  const registry = createRegistry([aws, existing, githubApp, jwt, oauth, postgres, serviceAccountToken, vault, webhook])
  // only what uses no identity of the cluster
  const namespaceRegistry = createRegistry(Object.values(local))
  return {
    find: (type, kind) => (kind === 'CredentialProvider' ? namespaceRegistry : registry).find(type),
    readHanded: read,
    async close() {
      http.close()
      namespaceHttp.close()
      await Promise.all([sql.close(), namespaceSql.close()])
    },
  }
}
