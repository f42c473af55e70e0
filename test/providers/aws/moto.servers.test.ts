// The provider at a server that it was not written beside (moto): what it gives are keys that sign, of the session that its row names.

import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals'
import { plus, seconds } from '../../../src/lib/instant.ts'
import type { Issued } from '../../../src/ports/provider.ts'
import type { AwsParams } from '../../../src/providers/aws/params.ts'
import { describeProvider, type ProviderWorld } from '../../contract/provider.ts'
import { text } from '../../issuer/world.ts'
import { type Moto, type SessionKeys, startMoto } from '../../support/aws/server.ts'
import { makeWorld, params, type World } from './world.ts'

let moto: Moto
const worlds: World[] = []
beforeAll(async () => {
  moto = await startMoto()
}, 600_000)
afterEach(() => {
  moto?.spoil(undefined)
  for (const world of worlds.splice(0)) world.http.close()
})
afterAll(() => moto?.stop())

function motoWorld(): World {
  const world = makeWorld({ ...params, endpoint: moto.endpoint, caBundle: moto.ca })
  worlds.push(world)
  return world
}
const keysOf = ({ fields }: Issued): SessionKeys => {
  const field = (name: string): string => (fields[name] === undefined ? '' : text(fields[name]))
  return { accessKeyId: field('accessKeyId'), secretAccessKey: field('secretAccessKey'), sessionToken: field('sessionToken') }
}

test('the keys are those of a session that is called by its handle; with another secret or token they are nobody\u2019s', async () => {
  const world = motoWorld()
  const lease = world.lease()
  const issued = await world.provider.issue(world.params, world.order(), { lease })
  if (!issued.ok) throw new Error(issued.failure.message)
  const keys = keysOf(issued.value)
  expect(await moto.callerIdentity(keys)).toBe(`arn:aws:sts::123456789012:assumed-role/payroll/${lease.handle}`)
  expect(await moto.callerIdentity({ ...keys, secretAccessKey: `${keys.secretAccessKey}x` })).toBeUndefined()
  expect(await moto.callerIdentity({ ...keys, sessionToken: 'x' })).toBeUndefined()
  expect(issued.value.expiresAt).toBeGreaterThan(plus(world.clock.now(), seconds(1100)))
})

test('what is made while its answer is lost is waited for', async () => {
  const world = motoWorld()
  const lease = world.lease()
  const before = moto.asked.length
  moto.spoil('lost')
  const lost = await world.provider.issue(world.params, world.order(), { lease })
  moto.spoil(undefined)
  expect([lost.ok, moto.asked.length]).toEqual([false, before + 1])
  expect(await world.provider.revoke(world.params, { lease })).toMatchObject({ ok: false, failure: { reason: 'ExpiresAt' } })
})

async function contractWorld(): Promise<ProviderWorld<AwsParams>> {
  const world = motoWorld()
  return {
    ...world,
    plain: ['region'],
    accepts: async (issued) => (await moto.callerIdentity(keysOf(issued))) !== undefined,
    breakSource: (canary) => moto.spoil({ text: `<ErrorResponse><Error><Code>${canary}</Code></Error></ErrorResponse>` }),
  }
}

describeProvider('aws, at moto', contractWorld)
