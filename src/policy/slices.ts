// Keeps policy sets parsed inside Cedar, a limited number at a time, and asks them.
// Cedar never frees a parsed set, it only overwrites one of the same name: so the names are a fixed number of slots that are used again.

import type { Response } from '@cedar-policy/cedar-wasm/nodejs'
import type { Cedar } from './cedar.ts'
import type { Question } from './entities.ts'
import type { Member } from './member.ts'

/** Policies that are judged together. The same members give the same slice, whoever asks. */
export interface Slice {
  readonly key: string
  readonly members: readonly Member[]
  readonly readsNow: boolean
}

export interface SliceLimits {
  /** parsed sets at a time */
  readonly slots: number
  /** policies in all of them together; one slice alone may be larger. About 5 kB of memory each. */
  readonly policies: number
}

export const sliceLimits: SliceLimits = { slots: 1024, policies: 10_000 }

export type Asked = { readonly ok: true; readonly response: Response } | { readonly ok: false; readonly errors: readonly string[] }

export interface Slices {
  ask(slice: Slice, question: Question): Asked
}

const schemaName = 'taskbound'

export function createSlices(cedar: Cedar, schemaText: string, limits: SliceLimits = sliceLimits): Slices {
  const parsed = cedar.preparseSchema(schemaName, schemaText)
  if (parsed.type === 'failure') throw new Error(`the schema is not Cedar: ${parsed.errors[0]?.message}`)

  /** slices that are parsed, the longest unused first */
  const held = new Map<string, { readonly slot: string; readonly size: number }>()
  const free = Array.from({ length: limits.slots }, (_, index) => `slot-${limits.slots - 1 - index}`)
  let policies = 0

  function fill(slot: string, members: readonly Member[]): void {
    const staticPolicies = Object.fromEntries(members.map(({ id, rule }) => [id, rule.text]))
    const answer = cedar.preparsePolicySet(slot, { staticPolicies })
    if (answer.type === 'failure') throw new Error(`a policy that was valid is not any more: ${answer.errors[0]?.message}`)
  }

  function makeRoom(size: number): string {
    for (const [key, old] of held) {
      if (free.length > 0 && policies + size <= limits.policies) break
      fill(old.slot, [])
      held.delete(key)
      free.push(old.slot)
      policies -= old.size
    }
    return free.pop() as string
  }

  function slotOf(slice: Slice): string {
    const known = held.get(slice.key)
    if (known !== undefined) {
      held.delete(slice.key)
      held.set(slice.key, known)
      return known.slot
    }
    const slot = makeRoom(slice.members.length)
    fill(slot, slice.members)
    held.set(slice.key, { slot, size: slice.members.length })
    policies += slice.members.length
    return slot
  }

  return {
    ask(slice, question) {
      const call = { ...question, preparsedPolicySetId: slotOf(slice), preparsedSchemaName: schemaName, validateRequest: true }
      let answer: ReturnType<Cedar['statefulIsAuthorized']>
      try {
        answer = cedar.statefulIsAuthorized(call)
      } catch (error) {
        // half a surrogate pair cannot be told to it, and it throws where it should answer
        if (!cedar.usable()) throw error
        return { ok: false, errors: ['the request cannot be put to Cedar: a text in it is no Unicode'] }
      }
      if (answer.type === 'failure') return { ok: false, errors: answer.errors.map(({ message }) => message) }
      return { ok: true, response: answer.response }
    },
  }
}
