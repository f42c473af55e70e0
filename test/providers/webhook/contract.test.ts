// What every provider must do, at the reference server of examples/webhook.

import { afterAll } from '@jest/globals'
import type { WebhookParams } from '../../../src/providers/webhook/params.ts'
import { describeProvider, type ProviderWorld } from '../../contract/provider.ts'
import { describeRules } from './rules.ts'
import { callWith, logins, referenceWorld, type World } from './world.ts'

const worlds: World[] = []
afterAll(async () => {
  await Promise.all(worlds.map((world) => world.close()))
})

async function contractWorld(): Promise<ProviderWorld<WebhookParams>> {
  const world = await referenceWorld()
  const broken = { canary: '' }
  return {
    ...world,
    // the canary stands in the path, which the server's answer and its errors could repeat
    get params() {
      return broken.canary === '' ? world.params : { ...world.params, url: `${world.params.url}/${broken.canary}` }
    },
    async accepts({ fields }) {
      const [key] = Object.values(fields)
      return key !== undefined && world.server.scopesOf(new TextDecoder().decode(key.reveal())) !== undefined
    },
    breakSource(canary) {
      broken.canary = canary
    },
  }
}

describeProvider('webhook', contractWorld)

describeRules('of examples/webhook', async () => {
  const world = await referenceWorld()
  worlds.push(world)
  return { ...world, logins, call: (name, login, body) => callWith(world.params, name, login, body) }
})
