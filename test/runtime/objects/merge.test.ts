import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { canonical } from '../../../src/lib/canonical.ts'
import type { Fields } from '../../../src/runtime/objects/fields.ts'
import { mergePatch } from '../../../src/runtime/objects/merge.ts'

/** RFC 7386, section 2, as the API server applies it. */
function applyPatch(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch
  const result: Record<string, unknown> = typeof target === 'object' && target !== null && !Array.isArray(target) ? { ...target } : {}
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key]
    else if (value !== undefined) result[key] = applyPatch(result[key], value)
  }
  return result
}

// null cannot be a value in a merge patch, and no status of ours has one
const value = fc.letrec((tie) => ({
  any: fc.oneof({ depthSize: 'small' }, fc.string(), fc.integer(), fc.boolean(), tie('object'), fc.array(fc.string())),
  object: fc.dictionary(fc.constantFrom('a', 'b', 'c', '__x'), tie('any')),
}))
const object = value.object as fc.Arbitrary<Fields>

test('the patch turns one object into the other', () => {
  fc.assert(
    fc.property(object, object, (before, after) => {
      const patch = mergePatch(before, after)
      expect(canonical(patch === undefined ? before : applyPatch(before, patch))).toBe(canonical(after))
    }),
    { numRuns: 1000 },
  )
})

test('there is no patch between equal objects, so nothing is written', () => {
  fc.assert(fc.property(object, (same) => expect(mergePatch(same, structuredClone(same))).toBeUndefined()))
  expect(mergePatch({ a: undefined, list: [{ x: undefined }] }, { list: [{}] })).toBeUndefined()
})

test('a member that is to go becomes null', () => {
  expect(mergePatch({ secret: { uid: 'u' }, kept: 1 }, { secret: undefined, kept: 1 })).toEqual({ secret: null })
})
