import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { distance, nearest } from '../../src/config/nearest.ts'

test.each([
  ['', '', 0],
  ['', 'abc', 3],
  ['kitten', 'sitting', 3],
  ['log-level', 'loglevel', 1],
  ['flaw', 'lawn', 2],
])('from %j to %j it is %d', (a, b, expected) => {
  expect(distance(a, b)).toBe(expected)
})

test('it is a distance: symmetric, zero only for equals, and no way around is shorter', () => {
  const word = fc.string({ maxLength: 8 })
  fc.assert(
    fc.property(word, word, word, (a, b, c) => {
      expect(distance(a, b)).toBe(distance(b, a))
      expect(distance(a, b) === 0).toBe(a === b)
      expect(distance(a, c)).toBeLessThanOrEqual(distance(a, b) + distance(b, c))
    }),
  )
})

test('the first of the closest is named, and nothing among none', () => {
  expect(nearest('lag', ['log', 'leg', 'x'])).toBe('log')
  expect(nearest('x', [])).toBeUndefined()
})
