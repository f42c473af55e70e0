// What every provider must do, at a strict fake of AWS STS.

import type { AwsParams } from '../../../src/providers/aws/params.ts'
import { describeProvider, type ProviderWorld } from '../../contract/provider.ts'
import { text } from '../../issuer/world.ts'
import { refusal, startFake } from './fake.ts'
import { fakeParams, makeWorld } from './world.ts'

async function contractWorld(): Promise<ProviderWorld<AwsParams>> {
  const fake = await startFake()
  const world = makeWorld(fakeParams(fake))
  return {
    ...world,
    plain: ['region'],
    accepts: async ({ fields }) => fields['sessionToken'] !== undefined && fake.accepts(text(fields['sessionToken'])),
    breakSource(canary) {
      fake.before = () => refusal(403, 'AccessDenied', canary)
    },
    async close() {
      world.http.close()
      await fake.close()
    },
  }
}

describeProvider('aws', contractWorld)
