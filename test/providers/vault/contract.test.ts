// What every provider must do, at a strict fake of a Vault.

import type { VaultParams } from '../../../src/providers/vault/params.ts'
import { describeProvider, type ProviderWorld } from '../../contract/provider.ts'
import { text } from '../../issuer/world.ts'
import { startFake } from './fake.ts'
import { fakeParams, makeWorld } from './world.ts'

async function contractWorld(): Promise<ProviderWorld<VaultParams>> {
  const fake = await startFake()
  const world = makeWorld(fakeParams(fake))
  return {
    ...world,
    plain: ['username'],
    accepts: async ({ fields }) =>
      fake.accepts(...(['username', 'password'].map((name) => (fields[name] ? text(fields[name]) : '')) as [string, string])),
    breakSource(canary) {
      fake.before = () => ({ status: 500, body: { errors: [canary] }, headers: { 'x-canary': canary } })
    },
    async close() {
      world.http.close()
      await fake.close()
    },
  }
}

describeProvider('vault', contractWorld)
