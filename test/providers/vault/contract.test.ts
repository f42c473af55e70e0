// What every provider must do, at a strict fake of a Vault.

import { afterEach } from '@jest/globals'
import type { VaultParams } from '../../../src/providers/vault/params.ts'
import { describeProvider, type ProviderWorld } from '../../contract/provider.ts'
import { text } from '../../issuer/world.ts'
import { type Fake, startFake } from './fake.ts'
import { fakeParams, makeWorld } from './world.ts'

const started: { close(): void | Promise<void> }[] = []
afterEach(async () => {
  for (const one of started.splice(0)) await one.close()
})

async function contractWorld(): Promise<ProviderWorld<VaultParams>> {
  const fake: Fake = await startFake()
  const world = makeWorld(fakeParams(fake))
  started.push(world.http, fake)
  return {
    provider: world.provider,
    params: world.params,
    order: world.order,
    record: () => undefined,
    lease: world.lease,
    noted: world.noted,
    plain: ['username'],
    accepts: async ({ fields }) =>
      fake.accepts(...(['username', 'password'].map((name) => (fields[name] ? text(fields[name]) : '')) as [string, string])),
    breakSource(canary) {
      fake.before = () => ({ status: 500, body: { errors: [canary] }, headers: { 'x-canary': canary } })
    },
  }
}

describeProvider('vault', contractWorld)
