// What every provider must do, at a strict fake of AWS STS.

import { afterEach } from '@jest/globals'
import type { AwsParams } from '../../../src/providers/aws/params.ts'
import { describeProvider, type ProviderWorld } from '../../contract/provider.ts'
import { text } from '../../issuer/world.ts'
import { refusal, startFake } from './fake.ts'
import { fakeParams, makeWorld } from './world.ts'

const started: { close(): void | Promise<void> }[] = []
afterEach(async () => {
  for (const one of started.splice(0)) await one.close()
})

async function contractWorld(): Promise<ProviderWorld<AwsParams>> {
  const fake = await startFake()
  const world = makeWorld(fakeParams(fake))
  started.push(world.http, fake)
  return {
    provider: world.provider,
    params: world.params,
    order: world.order,
    record: () => undefined,
    lease: world.lease,
    plain: ['region'],
    accepts: async ({ fields }) => fields['sessionToken'] !== undefined && fake.accepts(text(fields['sessionToken'])),
    breakSource(canary) {
      fake.before = () => refusal(403, 'AccessDenied', canary)
    },
  }
}

describeProvider('aws', contractWorld)
