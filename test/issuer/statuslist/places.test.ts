import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { createPlaces } from '../../../src/issuer/statuslist/places.ts'
import { entropy } from '../world.ts'

describe('the places of a list', () => {
  test('are each given once, whatever the randomness', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200 }), fc.infiniteStream(fc.uint8Array({ minLength: 4, maxLength: 4 })), (size, stream) => {
        const places = createPlaces(size, { ...entropy, bytes: () => stream.next().value })
        const taken = Array.from({ length: size }, () => places.take())
        expect([...new Set(taken)].sort((a, b) => Number(a) - Number(b))).toEqual(Array.from({ length: size }, (_, index) => index))
        expect(places.take()).toBeUndefined()
      }),
      { numRuns: 200 },
    )
  })

  test('do not come in order', () => {
    const places = createPlaces(2 ** 12, entropy)
    const taken = Array.from({ length: 100 }, () => places.take() ?? 0)
    const neighbours = taken.filter((place, index) => index > 0 && Math.abs(place - (taken[index - 1] ?? 0)) === 1)
    expect(neighbours.length).toBeLessThan(10)
  })
})
