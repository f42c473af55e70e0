import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { canonical, digest, equal } from '../../src/lib/canonical.ts'

test('the order of keys does not change the text or the digest', () => {
  expect(canonical({ b: 1, a: [{ d: undefined, c: null }] })).toBe('{"a":[{"c":null}],"b":1}')
  expect(digest({ b: 1, a: 2 })).toBe(digest({ a: 2, b: 1 }))
})

test('the text reads back as the same value', () => {
  fc.assert(fc.property(fc.jsonValue(), (value) => expect(JSON.parse(canonical(value))).toEqual(JSON.parse(JSON.stringify(value)))))
})

/** Few names and few values, so that two of them are often the same; absent members too, and the names that every object inherits. */
const { value: near } = fc.letrec((tie) => ({
  value: fc.oneof({ depthSize: 'small' }, fc.constantFrom(null, undefined, 0, -0, '', 'a', true), tie('list'), tie('object')),
  list: fc.array(tie('value'), { maxLength: 2 }),
  object: fc.dictionary(fc.constantFrom('a', 'b', '__proto__', 'constructor'), tie('value'), { maxKeys: 3 }),
}))

test('two values are equal exactly where their texts are', () => {
  let same = 0
  fc.assert(
    fc.property(near as fc.Arbitrary<unknown>, near as fc.Arbitrary<unknown>, (a, b) => {
      if (canonical(a) === canonical(b)) same += 1
      expect(equal(a, b)).toBe(canonical(a) === canonical(b))
    }),
    { numRuns: 20_000 },
  )
  expect(same).toBeGreaterThan(200)
  fc.assert(fc.property(fc.jsonValue(), (value) => expect(equal(value, structuredClone(value))).toBe(true)))
})

test.each<[string, unknown, unknown, boolean]>([
  ['the order of keys does not count', { a: 1, b: [2] }, { b: [2], a: 1 }, true],
  ['an undefined member is absent', { a: undefined }, {}, true],
  ['an undefined member is not null', { a: undefined }, { a: null }, false],
  ['null is not an undefined member', { a: null }, { a: undefined, b: 1 }, false],
  ['a list is no object', [], {}, false],
  ['an object is no list', { length: 0 }, [], false],
  ['a list is not its beginning', [1], [1, 2], false],
  ['one member more is a difference', {}, { a: 1 }, false],
  ['what every object inherits is not a member', JSON.parse('{"__proto__":{}}'), { a: 1 }, false],
])('%s', (_rule, a, b, wanted) => {
  expect(equal(a, b)).toBe(wanted)
  expect(canonical(a) === canonical(b)).toBe(wanted)
})
