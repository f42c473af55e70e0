// What every provider must do, at a strict fake of GitHub.

import type { GithubAppParams } from '../../../src/providers/github-app/params.ts'
import { describeProvider, type ProviderWorld } from '../../contract/provider.ts'
import { text } from '../../issuer/world.ts'
import { startFake } from './fake.ts'
import { fakeParams, makeWorld } from './world.ts'

async function contractWorld(): Promise<ProviderWorld<GithubAppParams>> {
  const fake = await startFake()
  const world = makeWorld(fakeParams(fake))
  return {
    ...world,
    accepts: async ({ fields }) => fields['token'] !== undefined && fake.alive().includes(text(fields['token'])),
    breakSource(canary) {
      fake.before = () => ({ status: 500, body: { message: canary }, headers: { 'x-canary': canary } })
    },
    async close() {
      world.http.close()
      await fake.close()
    },
  }
}

describeProvider('githubApp', contractWorld)
