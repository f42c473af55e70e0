// What every provider must do, at a real Vault with a real PostgreSQL behind it.

import { afterAll, beforeAll } from '@jest/globals'
import { toTaskKey } from '../../../src/core/names.ts'
import type { VaultParams } from '../../../src/providers/vault/params.ts'
import { describeProvider, type ProviderWorld } from '../../contract/provider.ts'
import { text } from '../../issuer/world.ts'
import { letsIn, type Setup, setUp } from './real.ts'
import { makeWorld } from './world.ts'

let setup: Setup
beforeAll(async () => {
  setup = await setUp()
}, 600_000)
afterAll(() => setup?.close())

async function contractWorld(): Promise<ProviderWorld<VaultParams>> {
  const params = { ...setup.params }
  const world = makeWorld(params, setup.logins, { task: toTaskKey('payroll', 'close-books') })
  return {
    ...world,
    params,
    plain: ['username'],
    accepts: ({ fields }) => letsIn(setup.database, Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, text(field)]))),
    // Vault's own message repeats the name of a role that it does not know
    breakSource: (canary) => void Object.assign(params, { role: `${canary}-a`, operatorRole: `${canary}-b` }),
    close: world.http.close,
  }
}

describeProvider('vault, at a real one', contractWorld)
