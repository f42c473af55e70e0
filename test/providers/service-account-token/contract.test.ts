// What every provider must do, at a strict fake of an API server.

import type { ServiceAccountTokenParams } from '../../../src/providers/service-account-token/params.ts'
import { describeProvider, type ProviderWorld } from '../../contract/provider.ts'
import { audience, makeWorld, params, tokenIn } from './world.ts'

async function contractWorld(): Promise<ProviderWorld<ServiceAccountTokenParams>> {
  const world = makeWorld()
  return {
    ...world,
    provider: world.settling,
    params,
    accepts: async (issued) => world.fake.admits(tokenIn(issued), audience),
    breakSource(canary) {
      world.fake.before = () => ({ status: 500, body: { kind: 'Status', reason: canary, message: canary } })
    },
  }
}

describeProvider('serviceAccountToken', contractWorld)
