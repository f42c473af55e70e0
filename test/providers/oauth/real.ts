// A real Keycloak that was set up by the very commands of docs/how-to/oauth.md, an issuer whose keys it fetches, and a resource server that
// asks it at every call.

import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { createLocalJWKSet, jwtVerify } from 'jose'
import { oidcRoutes } from '../../../src/http/oidc/routes.ts'
import type { Route } from '../../../src/http/route.ts'
import { createHttpServer } from '../../../src/http/server.ts'
import { createClientAssertions } from '../../../src/issuer/client-assertions.ts'
import { createLogins, loginIdentity } from '../../../src/issuer/logins.ts'
import type { ClientAssertions } from '../../../src/ports/login.ts'
import type { OauthParams } from '../../../src/providers/oauth/params.ts'
import { silent, wallClock } from '../../http/oidc/issuer.ts'
import { entropy } from '../../issuer/world.ts'
import { ownCertificate } from '../../support/certificate.ts'
import { type Keycloak, startKeycloak } from '../../support/keycloak/server.ts'
import { keyringOf } from './fake.ts'
import type { Identity } from './world.ts'

const page = readFileSync(resolve(import.meta.dirname, '../../../docs/how-to/oauth.md'), 'utf8')
/** The commands of the page that are marked so. */
function documented(mark: string): string {
  const found = page.match(new RegExp(`\`\`\`sh ${mark}\\n([\\s\\S]*?)\`\`\``))
  if (found?.[1] === undefined) throw new Error(`docs/how-to/oauth.md has no block ${mark}`)
  return found[1]
}

/** Runs the page's blocks at a Keycloak, and registers a resource server. */
export async function setUpKeycloak(keycloak: Keycloak, issuer: string): Promise<void> {
  await keycloak.shell(`${documented('scopes')}\n${documented('client')}`, { ISSUER: issuer })
  await keycloak.admin('POST', '/clients', { ...resourceServer, standardFlowEnabled: false })
}
const resourceServer = { clientId: 'payroll-api', secret: 'of-the-resource-server', publicClient: false } as const

/** Whether a resource server lets it in that asks Keycloak at every call. */
export async function letsIn({ form }: Keycloak, token: string): Promise<boolean> {
  const { body } = await form('/token/introspect', { token, client_id: resourceServer.clientId, client_secret: resourceServer.secret })
  return body['active'] === true
}

export interface Setup extends Identity {
  readonly keycloak: Keycloak
  /** whose assertions are as good as the other's, and whose key Keycloak does not know */
  readonly foreign: ClientAssertions
  readonly params: OauthParams
  /** what a resource server reads that only checks the signature; `undefined` where it refuses */
  offline(token: string): Promise<Record<string, unknown> | undefined>
  /** changes attributes of the client at Keycloak */
  client(attributes: Readonly<Record<string, string>>): Promise<void>
  close(): Promise<void>
}

export async function setUp(): Promise<Setup> {
  const { cert, key, ca } = ownCertificate()
  const routes: Route[] = []
  const server = createHttpServer({ name: 'issuer', host: '127.0.0.1', port: 0, routes, log: silent, tls: { cert, key } })
  const identity = { url: `https://127.0.0.1:${await server.start()}`, trustDomain: 'corp.example' }
  const [login, client, stranger] = [await keyringOf('Login'), await keyringOf('ClientAssertion'), await keyringOf('ClientAssertion')]
  const statuses = { publish: async () => 'unknown' as const, publishHere: async () => 'unknown' as const }
  const loginIssuer = { identity: loginIdentity(identity), keyring: () => login }
  routes.push(...oidcRoutes({ identity, keyring: () => login, logins: loginIssuer, clientKeyring: () => client, statuses }))
  const keycloak = await startKeycloak(ca)
  await setUpKeycloak(keycloak, identity.url)
  const common = { clock: wallClock, entropy }
  const found = (await keycloak.admin('GET', '/clients?clientId=taskbound')) as { readonly id: string }[]
  const id = found[0]?.id ?? ''
  const keys = createLocalJWKSet((await keycloak.keys()) as never)
  return {
    keycloak,
    assertions: createClientAssertions({ ...common, signer: client }),
    foreign: createClientAssertions({ ...common, signer: stranger }),
    logins: createLogins({ ...common, identity, signer: login }),
    params: {
      issuer: keycloak.issuer,
      caBundle: keycloak.ca,
      clientId: 'taskbound',
      grant: 'ClientCredentials',
      revocation: 'Checked',
      scopes: ['payroll:read', 'payroll:write'],
      audiences: ['https://payroll-api.corp.example'],
      maxTTLSeconds: 300,
      allowedAddresses: ['127.0.0.0/8', '::1'],
    },
    offline: (token) =>
      jwtVerify(token, keys, { issuer: keycloak.issuer, audience: 'https://payroll-api.corp.example' }).then(
        ({ payload }) => payload,
        () => undefined,
      ),
    async client(attributes) {
      const old = (await keycloak.admin('GET', `/clients/${id}`)) as { readonly attributes: object }
      await keycloak.admin('PUT', `/clients/${id}`, { ...old, attributes: { ...old.attributes, ...attributes } })
    },
    async close() {
      await Promise.all([keycloak.stop(), server.stop()])
    },
  }
}
