// `vault`: what a real Vault leases, from a real PostgreSQL behind it. Both are asked.

import { path } from '../../../providers/vault/real.ts'
import { startHttpsProxy } from '../../../support/faults/httpsproxy.ts'
import { createVaulted } from '../../support/vaulted.ts'
import { noted, outside, source } from '../points.ts'
import type { Fields, StartSubject } from '../subject.ts'

const to = 'vault'
const given = (fields: Fields) => ({ username: fields['vault.username'] ?? '', password: fields['vault.password'] ?? '' })
const call = (text: string): string => `^${text.replace(' ', ' /v1/')} `

export const startVault: StartSubject = async ({ scenario, gate, operator }) => {
  let close = async (): Promise<void> => undefined
  const vaulted = await createVaulted(scenario, async (vault) => {
    const proxy = await startHttpsProxy(gate, to, vault.address, vault.ca)
    close = proxy.close
    return proxy
  })
  await vaulted.trust(operator)
  // the clock of an operator that is to renew stands ahead, and Vault has to put up with it
  for (const role of ['payroll-tasks', 'taskbound-operator'])
    await vaulted.vault.ask('POST', `auth/jwt/role/${role}`, { role_type: 'jwt', clock_skew_leeway: 1_000_000 })
  const login = call('POST auth/jwt/login').trimEnd()
  const { version } = await vaulted.vault.ask('GET', 'sys/health')
  return {
    type: 'vault',
    provider: String((vaulted.credential['providerRef'] as { name: string }).name),
    server: `Vault ${String(version)} with PostgreSQL ${vaulted.database.version} behind it`,
    credential: { ...vaulted.credential, name: 'vault' },
    points: outside([
      source(to, 'issue', 'the login', `${login} .*"payroll-tasks"`),
      noted('issue', 'the note of the login', 1),
      source(to, 'issue', 'the read of the engine', call(`GET ${path}`)),
      noted('issue', 'the note of the lease', 2),
      source(to, 'issue', 'the renewal of the lease', call('PUT sys/leases/renew')),
      source(to, 'issue', 'the renewal of the login', call('PUT auth/token/renew-self')),
      source(to, 'renew', 'the login', `${login} .*"payroll-tasks"`),
      noted('renew', 'the note of the login', 1),
      source(to, 'renew', 'the read of the engine', call(`GET ${path}`)),
      noted('renew', 'the note of the lease', 2),
      source(to, 'renew', 'the renewal of the lease', call('PUT sys/leases/renew')),
      source(to, 'renew', 'the renewal of the login', call('PUT auth/token/renew-self')),
      source(to, 'end', 'the look for the login', call('PUT auth/token/lookup-accessor')),
      source(to, 'end', 'the end of the lease', call('PUT sys/leases/revoke')),
      source(to, 'end', 'the end of the login', call('PUT auth/token/revoke-accessor')),
      source(to, 'end', 'the last look for the login', call('PUT auth/token/lookup-accessor'), { nth: 2 }),
      source(to, 'end', 'the look for the lease', call('PUT sys/leases/lookup')),
    ]),
    renewal: 'Successor',
    // what Vault makes while its client goes is unknown to it, and ends with its first life of a minute
    lostLifeMs: 90_000,
    alive: vaulted.alive,
    idOf: (fields) => given(fields).username,
    works: (fields) => vaulted.works(given(fields)),
    async leftovers() {
      const logins = (await vaulted.vault.logins()).filter(({ ttl }) => ttl > 60).map(({ accessor }) => accessor)
      return [...(await vaulted.vault.leases(path)), ...logins]
    },
    async close() {
      await vaulted.close()
      await close()
    },
  }
}
