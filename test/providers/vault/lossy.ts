// Between the provider and a real Vault: hands calls on, and does not hand on the answers it is told to lose.

import type { Call } from '../../support/faults/gate.ts'
import { startHttpsProxy } from '../../support/faults/httpsproxy.ts'
import type { Vault } from '../../support/vault/server.ts'

export interface Lossy {
  readonly address: string
  readonly caBundle: string
  /** calls so far, such as `POST auth/jwt/login` */
  readonly calls: string[]
  /**
   * `lost`: it is done at the server, and its answer lost. `cut`: it never gets there.
   * @param n of the call, from 0
   */
  fate: (n: number, call: string) => 'lost' | 'cut' | undefined
  /** called once the server has answered, before anybody hears of it */
  answered: (call: string) => void
  close(): Promise<void>
}

export async function startLossy(vault: Vault): Promise<Lossy> {
  const fates = new Map<Call, 'lost' | 'cut' | undefined>()
  const named = ({ what }: Call): string => what.split(' ', 2).join(' ').replace('/v1/', '')
  const gate = {
    async before(call: Call) {
      const fate = lossy.fate(lossy.calls.push(named(call)) - 1, named(call))
      fates.set(call, fate)
      return fate === 'cut' ? 'cut' : 'pass'
    },
    async after(call: Call) {
      lossy.answered(named(call))
      return fates.get(call) === 'lost' ? 'cut' : 'pass'
    },
  } as const
  const { address, caBundle, close } = await startHttpsProxy(gate, 'vault', vault.address, vault.ca)
  const lossy: Lossy = { address, caBundle, calls: [], fate: () => undefined, answered: () => undefined, close }
  return lossy
}
