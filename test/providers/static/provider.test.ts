// What may be handed out, and what is said of it: never that it was revoked.

import { expect, test } from '@jest/globals'
import { endless } from '../../../src/lib/instant.ts'
import { Material } from '../../../src/lib/material.ts'
import type { StaticParams } from '../../../src/providers/static/params.ts'
import type { StoredValue } from '../../../src/providers/static/provider.ts'
import { text } from '../../issuer/world.ts'
import { makeWorld, params } from './world.ts'

test('promises nothing about the value\u2019s end, and counts only permits that name it', () => {
  expect(makeWorld().provider.promises(params)).toMatchObject({ revocation: 'ExpireOnly', bound: endless, byName: true })
})

test('gives the listed keys and no other, and at a renewal the value of that time', async () => {
  const world = makeWorld()
  const lease = world.lease()
  const first = await world.provider.issue(params, world.order(), { lease })
  expect(first.ok && Object.keys(first.value.fields)).toEqual(['api-key'])
  world.secrets['legacy'] = { data: { 'api-key': new Material('rotated') }, origin: 'static' }
  const second = await world.provider.renew(params, world.order(), { lease })
  expect(second.ok && text(second.value.fields['api-key'] ?? new Material(''))).toBe('rotated')
})

test.each<readonly [string, Partial<StaticParams>, StoredValue | undefined, RegExp]>([
  ['a Secret that is not there', { secretRef: { name: 'none' } }, undefined, /does not exist/],
  [
    'a Secret that does not say that it may be handed out, such as the keys of the issuer',
    {},
    { data: { 'api-key': new Material('x') }, origin: undefined },
    /taskbound.dev\/origin: static/,
  ],
  [
    'the login of another provider',
    {},
    { data: { 'api-key': new Material('x') }, origin: 'db.corp.example:5432' },
    /taskbound.dev\/origin: static/,
  ],
  ['a key that is not there', { keys: ['api-key', 'none'] }, undefined, /no key `none`/],
  ['a key of no object', { keys: ['constructor'] }, undefined, /no key `constructor`/],
  ['an empty value', {}, { data: { 'api-key': new Material('') }, origin: 'static' }, /is empty/],
  [
    'a value that is too long for a Secret of several',
    {},
    { data: { 'api-key': new Material('x'.repeat(65_537)) }, origin: 'static' },
    /more than 65536 bytes/,
  ],
  ['no keys', { keys: [] }, undefined, /`keys` lists nothing/],
  ['a key that leads elsewhere', { keys: ['../x'] }, undefined, /cannot be a field/],
  ['a life that cannot be renewed in time', { maxTTLSeconds: 10 }, undefined, /maxTTLSeconds/],
])('%s is not ready, and nothing of it is given', async (_what, change, stored, message) => {
  const world = makeWorld()
  if (stored !== undefined) world.secrets['legacy'] = stored
  const its = { ...params, ...change }
  expect(await world.provider.ready(its)).toMatchObject({
    ok: false,
    failure: { reason: 'ProviderConfigInvalid', message: expect.stringMatching(message) },
  })
  expect(await world.provider.issue(its, world.order(), { lease: world.lease() })).toMatchObject({
    ok: false,
    failure: { message: expect.stringMatching(message) },
  })
})

test('is given to nobody whose row is to die', async () => {
  const world = makeWorld()
  world.refuses = () => true
  expect((await world.provider.issue(params, world.order(), { lease: world.lease() })).ok).toBe(false)
})
