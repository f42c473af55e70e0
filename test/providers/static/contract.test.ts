// What every provider must do, by one that only copies.

import type { StaticParams } from '../../../src/providers/static/params.ts'
import { describeProvider, type ProviderWorld } from '../../contract/provider.ts'
import { text } from '../../issuer/world.ts'
import { makeWorld, params } from './world.ts'

async function contractWorld(): Promise<ProviderWorld<StaticParams>> {
  const world = makeWorld()
  return {
    ...world,
    params,
    accepts: async ({ fields }) => fields['api-key'] !== undefined && text(fields['api-key']) === 'long-lived-5f1',
    breakSource() {
      // the reader's failures are sentences of ours already
      world.broken = 'Secret `legacy` cannot be read: the API server does not answer'
    },
  }
}

describeProvider('static', contractWorld)
