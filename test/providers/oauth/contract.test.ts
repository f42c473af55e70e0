// What every provider must do, at a strict fake of an authorization server, by both grants.

import type { OauthParams } from '../../../src/providers/oauth/params.ts'
import { describeProvider, type ProviderWorld } from '../../contract/provider.ts'
import { text } from '../../issuer/world.ts'
import { startFake } from './fake.ts'
import { fakeParams, makeWorld } from './world.ts'

const contractWorld = (grant: OauthParams['grant']) => async (): Promise<ProviderWorld<OauthParams>> => {
  const fake = await startFake()
  const world = makeWorld({ ...fakeParams(fake), grant })
  return {
    ...world,
    accepts: async ({ fields }) => fields['token'] !== undefined && fake.alive(text(fields['token'])),
    breakSource(canary) {
      fake.before = () => ({ status: 500, body: { error: canary, error_description: canary }, headers: { 'x-canary': canary } })
    },
    async close() {
      world.http.close()
      await fake.close()
    },
  }
}

describeProvider('oauth, by client credentials', contractWorld('ClientCredentials'))
describeProvider('oauth, by token exchange', contractWorld('TokenExchange'))
