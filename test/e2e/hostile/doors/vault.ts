// A real Vault that trusts this installation: its tokens, and the logins of both of its roles, as the operator shows them to it.

import { startHttpsProxy } from '../../../support/faults/httpsproxy.ts'
import { createVaulted } from '../../support/vaulted.ts'
import type { World } from '../world.ts'
import { type Door, isHeader } from './door.ts'

const roles = ['payroll-tasks', 'taskbound-operator'] as const

export async function vaultDoors({ scenario, operator, atEnd }: World): Promise<readonly Door[]> {
  const shown = new Map<string, string>()
  const note = async ({ what }: { readonly what: string }) => {
    const [, role = '', jwt = ''] = /"role":"([^"]+)".*"jwt":"([^"]+)"/.exec(what) ?? []
    shown.set(role, jwt)
    return 'pass' as const
  }
  const gate = { set: () => ({ caught: () => false, release: () => undefined }), before: note, after: async () => 'pass' as const }
  const vaulted = await createVaulted(scenario, async ({ address, ca }) => {
    const proxy = await startHttpsProxy(gate, 'vault', address, ca)
    atEnd(proxy.close)
    return proxy
  })
  atEnd(vaulted.close)
  await vaulted.trust(operator)
  const { vault } = vaulted
  const logIn = (role: string, jwt: string) => vault.call(undefined, 'POST', 'auth/jwt/login', { role, jwt })
  let visits = 0
  async function shownTo(role: string): Promise<string> {
    visits += 1
    const task = await vaulted.task(`own-lease-${visits}`)
    await vaulted.active(task)
    return shown.get(role) ?? ''
  }
  return [
    {
      name: 'Vault',
      async own() {
        const { body } = await logIn(roles[0], await shownTo(roles[0]))
        return (body['auth'] as { client_token: string }).client_token
      },
      takes: async (word) => isHeader(word) && (await vault.call(word, 'GET', 'auth/token/lookup-self')).status < 300,
    },
    ...roles.map((role) => ({
      name: `the role ${role} of Vault`,
      own: () => shownTo(role),
      takes: async (word: string) => (await logIn(role, word)).status < 300,
    })),
  ]
}
