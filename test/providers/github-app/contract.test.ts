// What every provider must do, at a strict fake of GitHub.

import { afterEach } from '@jest/globals'
import type { GithubAppParams } from '../../../src/providers/github-app/params.ts'
import { describeProvider, type ProviderWorld } from '../../contract/provider.ts'
import { text } from '../../issuer/world.ts'
import { type Fake, startFake } from './fake.ts'
import { fakeParams, makeWorld } from './world.ts'

const started: { close(): void | Promise<void> }[] = []
afterEach(async () => {
  for (const one of started.splice(0)) await one.close()
})

async function contractWorld(): Promise<ProviderWorld<GithubAppParams>> {
  const fake: Fake = await startFake()
  const world = makeWorld(fakeParams(fake))
  started.push(world.http, fake)
  return {
    provider: world.provider,
    params: world.params,
    order: world.order,
    record: () => undefined,
    lease: world.lease,
    accepts: async ({ fields }) => fields['token'] !== undefined && fake.alive().includes(text(fields['token'])),
    breakSource(canary) {
      fake.before = () => ({ status: 500, body: { message: canary }, headers: { 'x-canary': canary } })
    },
  }
}

describeProvider('githubApp', contractWorld)
