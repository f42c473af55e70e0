// What every provider must do, at a strict fake of an authorization server, by both grants.

import { afterEach } from '@jest/globals'
import type { OauthParams } from '../../../src/providers/oauth/params.ts'
import { describeProvider, type ProviderWorld } from '../../contract/provider.ts'
import { text } from '../../issuer/world.ts'
import { startFake } from './fake.ts'
import { fakeParams, makeWorld } from './world.ts'

const started: { close(): void | Promise<void> }[] = []
afterEach(async () => {
  for (const one of started.splice(0)) await one.close()
})

const contractWorld = (grant: OauthParams['grant']) => async (): Promise<ProviderWorld<OauthParams>> => {
  const fake = await startFake()
  const world = makeWorld({ ...fakeParams(fake), grant })
  started.push(world.http, fake)
  return {
    provider: world.provider,
    params: world.params,
    order: world.order,
    record: () => undefined,
    lease: world.lease,
    accepts: async ({ fields }) => fields['token'] !== undefined && fake.alive(text(fields['token'])),
    breakSource(canary) {
      fake.before = () => ({ status: 500, body: { error: canary, error_description: canary }, headers: { 'x-canary': canary } })
    },
  }
}

describeProvider('oauth, by client credentials', contractWorld('ClientCredentials'))
describeProvider('oauth, by token exchange', contractWorld('TokenExchange'))
