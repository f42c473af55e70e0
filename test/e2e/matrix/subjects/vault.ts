// `vault`: what a real Vault leases, from a real PostgreSQL behind it. Both are asked.

import { path } from '../../../providers/vault/real.ts'
import { startHttpsProxy } from '../../../support/faults/httpsproxy.ts'
import { createVaulted } from '../../support/vaulted.ts'
import { noted, outside, source } from '../points.ts'
import type { Fields, SubjectType } from '../subject.ts'

const to = 'vault'
const given = (fields: Fields) => ({ username: fields['vault.username'] ?? '', password: fields['vault.password'] ?? '' })
const call = (text: string): string => `^${text.replace(' ', ' /v1/')} `

const login = `${call('POST auth/jwt/login')}.*"payroll-tasks"`

export const vault: SubjectType = {
  points: outside([
    source(to, 'issue', 'the login', login),
    noted('issue', 'the note of the login', 1),
    source(to, 'issue', 'the read of the engine', call(`GET ${path}`)),
    noted('issue', 'the note of the lease', 2),
    source(to, 'issue', 'the renewal of the lease', call('PUT sys/leases/renew')),
    source(to, 'issue', 'the renewal of the login', call('PUT auth/token/renew-self')),
    source(to, 'renew', 'the login', login),
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
  async start({ scenario, gate, operator }) {
    let close = async (): Promise<void> => undefined
    const vaulted = await createVaulted(scenario, async (vault) => {
      if (gate === undefined) return { address: vault.address, caBundle: vault.ca }
      const proxy = await startHttpsProxy(gate, to, vault.address, vault.ca)
      close = proxy.close
      return proxy
    })
    await vaulted.trust(operator)
    // the clock of an operator that is to renew stands ahead, and Vault has to put up with it
    for (const role of ['payroll-tasks', 'taskbound-operator'])
      await vaulted.vault.ask('POST', `auth/jwt/role/${role}`, { role_type: 'jwt', clock_skew_leeway: 1_000_000 })
    // any agent of that namespace: some are made only to be deleted
    await vaulted.vault.ask('POST', 'auth/jwt/role/payroll-tasks', {
      role_type: 'jwt',
      bound_claims: { '/taskbound/task/namespace': scenario.namespace, '/taskbound/action': 'test.run' },
    })
    const { version } = await vaulted.vault.ask('GET', 'sys/health')
    return {
      provider: String((vaulted.credential['providerRef'] as { name: string }).name),
      server: `Vault ${String(version)} with PostgreSQL ${vaulted.database.version} behind it`,
      credential: { ...vaulted.credential, name: 'vault' },
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
  },
}
