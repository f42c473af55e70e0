// A real Vault that was set up by the very commands of docs/how-to/vault.md, an issuer whose login tokens it trusts, and a real PostgreSQL
// behind its database engine.

import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { oidcRoutes } from '../../../src/http/oidc/routes.ts'
import type { Route } from '../../../src/http/route.ts'
import { createHttpServer } from '../../../src/http/server.ts'
import { generateKeyDocument } from '../../../src/issuer/key-document.ts'
import { createKeyring, type Keyring } from '../../../src/issuer/keyring.ts'
import { createLogins, loginIdentity } from '../../../src/issuer/logins.ts'
import type { Logins } from '../../../src/ports/login.ts'
import type { VaultParams } from '../../../src/providers/vault/params.ts'
import { silent, wallClock } from '../../http/oidc/issuer.ts'
import { entropy } from '../../issuer/world.ts'
import { ownCertificate } from '../../support/certificate.ts'
import { type Postgres, startPostgres } from '../../support/postgres/server.ts'
import { startVault, type Vault } from '../../support/vault/server.ts'

const page = readFileSync(resolve(import.meta.dirname, '../../../docs/how-to/vault.md'), 'utf8')
/** The commands of the page that are marked so. */
export function documented(mark: string): string {
  const found = page.match(new RegExp(`\`\`\`sh ${mark}\\n([\\s\\S]*?)\`\`\``))
  if (found?.[1] === undefined) throw new Error(`docs/how-to/vault.md has no block ${mark}`)
  return found[1]
}

const audience = 'https://vault.corp.example'
export const path = 'database/creds/payroll-read'
/** What the page's role lets in. */
export const allowed = { agent: 'payroll-clerk', action: 'payroll.reconcile' } as const

export interface Setup {
  readonly vault: Vault
  readonly database: Postgres
  readonly logins: Logins
  /** whose tokens are as good as the other's, and whose key Vault does not know */
  readonly foreign: Logins
  readonly params: VaultParams
  close(): Promise<void>
}

async function keyringOf(): Promise<Keyring> {
  const keyring = await createKeyring(await generateKeyDocument(wallClock.now(), 'ES256', ['Login']))
  if (!keyring.ok) throw new Error(keyring.failure)
  return keyring.value
}

/** Runs the page's blocks at a Vault. */
export async function setUpVault(
  vault: Vault,
  database: Postgres,
  issuer: { readonly url: string; readonly ca: string; readonly trustDomain: string; readonly audience: string },
  change: (commands: string) => string = (commands) => commands,
): Promise<void> {
  await database.query(`create role payroll_read nologin; create schema app; create table app.t (id int); insert into app.t values (42);
    grant usage on schema app to payroll_read; grant select on app.t to payroll_read`)
  const host = `127.0.0.1:${database.port}`
  const variables = {
    ISSUER: issuer.url,
    AUDIENCE: issuer.audience,
    OPERATOR: `spiffe://${issuer.trustDomain}/taskbound`,
    DATABASE: `postgresql://{{username}}:{{password}}@${host}/postgres?sslmode=require`,
    DATABASE_USER: database.superuser.username,
    DATABASE_PASSWORD: database.superuser.password,
  }
  for (const mark of ['trust', 'operator', 'tasks', 'engine'])
    await vault.shell(change(documented(mark)), variables, { 'issuer-ca.crt': issuer.ca })
}

export async function setUp(): Promise<Setup> {
  const { cert, key, ca } = ownCertificate()
  const routes: Route[] = []
  const server = createHttpServer({ name: 'issuer', host: '127.0.0.1', port: 0, routes, log: silent, tls: { cert, key } })
  const identity = { url: `https://127.0.0.1:${await server.start()}`, trustDomain: 'corp.example' }
  const [signer, stranger] = [await keyringOf(), await keyringOf()]
  const statuses = { publish: async () => 'unknown' as const, publishHere: async () => 'unknown' as const }
  routes.push(
    ...oidcRoutes({ identity, keyring: () => signer, logins: { identity: loginIdentity(identity), keyring: () => signer }, statuses }),
  )
  const [vault, database] = await Promise.all([startVault(), startPostgres()])
  await setUpVault(vault, database, { url: identity.url, ca, trustDomain: identity.trustDomain, audience })
  const common = { identity, clock: wallClock, entropy }
  return {
    vault,
    database,
    logins: createLogins({ ...common, signer }),
    foreign: createLogins({ ...common, signer: stranger }),
    params: {
      address: vault.address,
      caBundle: vault.ca,
      authMount: 'jwt',
      role: 'payroll-tasks',
      operatorRole: 'taskbound-operator',
      audience,
      paths: [{ path, kind: 'Lease' }],
      maxTTLSeconds: 3600,
      allowedAddresses: ['127.0.0.0/8', '::1'],
    },
    async close() {
      await Promise.all([vault.stop(), database.stop(), server.stop()])
    },
  }
}

/** Whether PostgreSQL lets it in, and shows it what is behind it. */
export async function letsIn(database: Postgres, { username = '', password = '' }: Readonly<Record<string, string>>): Promise<boolean> {
  const client = await database.login(username, password).catch(() => undefined)
  const answer = await client?.query('select id from app.t').catch(() => undefined)
  await client?.end()
  return answer?.rows[0]?.id === 42
}

/** Roles of Vault's that can log in now: what Vault itself lost, when its client was gone while it made a role, ends by its first life. */
export const roles = async (database: Postgres): Promise<readonly string[]> =>
  (await database.query("select rolname from pg_roles where rolname like 'v-%' and rolcanlogin and rolvaliduntil > now()")).map(
    ({ rolname }) => String(rolname),
  )
