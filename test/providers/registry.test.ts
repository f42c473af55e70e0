import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { audiencesTaken, createRegistry } from '../../src/providers/registry.ts'

const claim = (name: string, second: number, ...audiences: string[]) => ({
  name,
  uid: `uid-${name}`,
  createdTime: `2027-01-01T00:00:0${second}Z`,
  audiences,
})

describe('an audience that several providers list', () => {
  test('stays with the oldest', () => {
    const taken = audiencesTaken([claim('young', 2, 'a', 'c'), claim('old', 1, 'a', 'b'), claim('middle', 1, 'x')])
    expect([...taken]).toEqual([['uid-young', [{ audience: 'a', owner: 'old' }]]])
  })

  test('stays with the smaller UID where two are of the same second', () => {
    expect([...audiencesTaken([claim('b', 1, 'a'), claim('a', 1, 'a')]).keys()]).toEqual(['uid-b'])
  })

  test('is not taken by the one that lists it twice', () => {
    expect(audiencesTaken([claim('a', 1, 'x', 'x')]).size).toBe(0)
  })

  test('has one owner, whatever the order of the list', () => {
    const arbitrary = fc.array(fc.tuple(fc.integer({ min: 0, max: 2 }), fc.subarray(['a', 'b', 'c'])), { maxLength: 6 })
    fc.assert(
      fc.property(arbitrary, fc.infiniteStream(fc.nat()), (rows, random) => {
        const claims = rows.map(([second, audiences], index) => claim(String(index), second, ...audiences))
        const shuffled = claims.map((c) => [random.next().value, c] as const).sort(([a], [b]) => a - b)
        const taken = audiencesTaken(claims)
        const others = audiencesTaken(shuffled.map(([, c]) => c))
        expect([...taken].sort()).toEqual([...others].sort())
        for (const audience of ['a', 'b', 'c']) {
          const keepers = claims.filter((c) => c.audiences.includes(audience) && !taken.get(c.uid)?.some((t) => t.audience === audience))
          expect(keepers.length).toBe(claims.some((c) => c.audiences.includes(audience)) ? 1 : 0)
        }
      }),
    )
  })
})

test('two providers of one type are a bug', () => {
  const provider = { type: 'jwt' } as never
  expect(createRegistry([provider]).types).toEqual(['jwt'])
  expect(() => createRegistry([provider, provider])).toThrow('two providers of one type')
})
