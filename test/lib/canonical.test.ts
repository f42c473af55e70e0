import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { canonical, digest } from '../../src/lib/canonical.ts'

test('the order of keys does not change the text or the digest', () => {
  expect(canonical({ b: 1, a: [{ d: undefined, c: null }] })).toBe('{"a":[{"c":null}],"b":1}')
  expect(digest({ b: 1, a: 2 })).toBe(digest({ a: 2, b: 1 }))
})

test('the text reads back as the same value', () => {
  fc.assert(fc.property(fc.jsonValue(), (value) => expect(JSON.parse(canonical(value))).toEqual(JSON.parse(JSON.stringify(value)))))
})
