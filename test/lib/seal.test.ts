// What is sealed for one place opens nowhere else, and nothing of it shows.

import { randomBytes } from 'node:crypto'
import { inspect } from 'node:util'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { Material } from '../../src/lib/material.ts'
import { createSeal, type SealPlace } from '../../src/lib/seal.ts'

const key = (): Material => new Material(randomBytes(32))
const [old, fresh] = [key(), key()]
const seal = createSeal([fresh], randomBytes)
const canary = 'canary-5f1d0c'
const place: SealPlace = {
  installation: 'tbabcdefghij',
  handle: 'tbabcdefghijk1',
  row: 'row-1',
  task: 'task-1',
  provider: 'provider-1',
  origin: 'https://api.github.com',
}
const text = (material: Material): string => new TextDecoder().decode(material.reveal())
const sealed = seal.seal(place, new Material(canary))

test('what was sealed opens in its place, whatever the order in which it is named', () => {
  const opened = seal.open(Object.fromEntries(Object.entries(place).reverse()), sealed)
  expect(opened.ok && text(opened.value)).toBe(canary)
})

test('nothing of the value shows, and the same value gives another text each time', () => {
  const again = seal.seal(place, new Material(canary))
  expect(again).not.toBe(sealed)
  for (const shown of [sealed, again, inspect(seal, { depth: 9, showHidden: true })]) {
    expect(shown).not.toContain(canary)
    expect(shown).not.toContain(Buffer.from(canary).toString('base64url').slice(0, 12))
  }
  expect(sealed).toMatch(/^taskbound\.v1\.[0-9a-f]{16}\.[A-Za-z0-9_-]+$/)
})

describe('it does not open', () => {
  const others: readonly (readonly [string, SealPlace])[] = [
    ...Object.keys(place).map((name): readonly [string, SealPlace] => [`for another ${name}`, { ...place, [name]: `${place[name]}x` }]),
    ...Object.keys(place).map((name): readonly [string, SealPlace] => {
      const { [name]: _, ...rest } = place
      return [`where no ${name} is named`, rest]
    }),
    ['where more is named', { ...place, more: '' }],
    ['where two values change places', { ...place, task: place['row'] ?? '', row: place['task'] ?? '' }],
    ['where a value runs over into the next', { ...place, row: 'row-14:task6:task-1', task: '' }],
  ]
  test.each(others)('%s', (_, other) => {
    expect(seal.open(other, sealed)).toEqual({ ok: false, failure: 'mismatch' })
  })

  const bytes = Buffer.from(sealed.split('.').at(-1) ?? '', 'base64url')
  const head = sealed.slice(0, sealed.lastIndexOf('.') + 1)
  const written = (changed: Buffer): string => head + changed.toString('base64url')
  test('with any bit turned', () => {
    for (let i = 0; i < bytes.length * 8; i += 1) {
      const turned = Buffer.from(bytes)
      turned[i >> 3] = (turned[i >> 3] ?? 0) ^ (1 << (i & 7))
      expect(seal.open(place, written(turned))).toEqual({ ok: false, failure: 'mismatch' })
    }
  })

  test('cut short or made longer, at any place', () => {
    for (let i = 0; i < bytes.length; i += 1) expect(seal.open(place, written(bytes.subarray(0, i)))).toMatchObject({ ok: false })
    expect(seal.open(place, written(Buffer.concat([bytes, Buffer.alloc(1)])))).toEqual({ ok: false, failure: 'mismatch' })
  })

  test.each(['', 'x', canary, 'taskbound.v1.', sealed.replace('v1', 'v2'), `${sealed} `, ` ${sealed}`, `${sealed}\n`, `${sealed}.x`])(
    'as %j',
    (wrong) => {
      expect(seal.open(place, wrong)).toEqual({ ok: false, failure: 'mismatch' })
    },
  )

  test('with another key, which is told apart, nor under the name of another key', () => {
    const other = createSeal([old], randomBytes)
    expect(other.open(place, sealed)).toEqual({ ok: false, failure: 'unknown key' })
    const name = other.seal(place, new Material('')).split('.')[2] ?? ''
    const renamed = ['taskbound', 'v1', name, sealed.split('.')[3]].join('.')
    expect(other.open(place, renamed)).toEqual({ ok: false, failure: 'mismatch' })
  })
})

test('a new key seals, and the former ones still open', () => {
  const before = createSeal([old], randomBytes).seal(place, new Material(canary))
  const rotated = createSeal([fresh, old], randomBytes)
  const opened = rotated.open(place, before)
  expect(opened.ok && text(opened.value)).toBe(canary)
  expect(seal.open(place, rotated.seal(place, new Material(canary)))).toMatchObject({ ok: true })
})

test('any bytes come back as they were, from any place', () => {
  const strings = fc.dictionary(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' }), { noNullPrototype: true })
  fc.assert(
    fc.property(strings, fc.uint8Array({ maxLength: 4000 }), (somewhere, value) => {
      const opened = seal.open(somewhere, seal.seal(somewhere, new Material(value)))
      expect(opened.ok && Buffer.from(opened.value.reveal()).equals(value)).toBe(true)
    }),
  )
})
