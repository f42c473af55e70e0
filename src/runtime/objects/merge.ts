// The JSON merge patch (RFC 7386) that turns one JSON object into another.

import { equal } from '../../lib/canonical.ts'
import type { Fields } from './fields.ts'

/** `undefined` where both are the same. Arrays are replaced whole; members that are to go become null. */
export function mergePatch(before: Fields, after: Fields): Fields | undefined {
  const patch: Record<string, unknown> = {}
  for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const [old, wanted] = [before[key], after[key]]
    if (wanted === undefined) {
      if (old !== undefined) patch[key] = null
    } else if (isObject(old) && isObject(wanted)) {
      const inner = mergePatch(old, wanted)
      if (inner !== undefined) patch[key] = inner
    } else if (!equal(old, wanted)) {
      patch[key] = wanted
    }
  }
  return Object.keys(patch).length === 0 ? undefined : patch
}

const isObject = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value)
