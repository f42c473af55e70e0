// What every provider must do, at a real Vault with a real PostgreSQL behind it.

import { afterAll, afterEach, beforeAll } from '@jest/globals'
import { toTaskKey } from '../../../src/core/names.ts'
import type { VaultParams } from '../../../src/providers/vault/params.ts'
import { describeProvider, type ProviderWorld } from '../../contract/provider.ts'
import { text } from '../../issuer/world.ts'
import { letsIn, type Setup, setUp } from './real.ts'
import { makeWorld, type World } from './world.ts'

let setup: Setup
const worlds: World[] = []
beforeAll(async () => {
  setup = await setUp()
}, 600_000)
afterEach(() => {
  for (const world of worlds.splice(0)) world.http.close()
})
afterAll(() => setup?.close())

async function contractWorld(): Promise<ProviderWorld<VaultParams>> {
  const params = { ...setup.params }
  const world = makeWorld(params, setup.logins, { task: toTaskKey('payroll', 'close-books') })
  worlds.push(world)
  return {
    provider: world.provider,
    params,
    order: world.order,
    record: () => undefined,
    lease: world.lease,
    noted: world.noted,
    plain: ['username'],
    accepts: ({ fields }) => letsIn(setup.database, Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, text(field)]))),
    // Vault's own message repeats the name of a role that it does not know
    breakSource: (canary) => void Object.assign(params, { role: `${canary}-a`, operatorRole: `${canary}-b` }),
  }
}

describeProvider('vault, at a real one', contractWorld)
