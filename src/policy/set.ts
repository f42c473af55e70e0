// The policies of one scope: those of the cluster, or those of one namespace. Knows which of them a request can match.
// Does not judge, and does not read a text: what it holds was valid when it came.

import { digest } from '../lib/canonical.ts'
import type { Member } from './member.ts'
import { canMatch, type Target } from './scope.ts'
import type { Slice } from './slices.ts'

/** What one policy object contributes. */
export interface Holding {
  readonly mode: 'Enforce' | 'Audit'
  readonly members: readonly Member[]
  /** equal for equal texts; decides whether a change is one */
  readonly fingerprint: string
  /** a sentence on why the object has no version that could be used */
  readonly broken: string | undefined
}

export interface PolicySet {
  get(object: string): Holding | undefined
  put(object: string, holding: Holding): void
  delete(object: string): void
  /** The policies of one mode that can match. A slice without members needs no judging. */
  slice(mode: Holding['mode'], target: Target): Slice
  /** what is wrong with enforced objects that never had a valid version, or with the set as a whole */
  broken(): readonly string[]
  /** digest of all that is enforced */
  digest(): string
}

const rememberedTargets = 10_000

/** @param limit the most enforced policies that are judged; a set that has more denies, whichever of them came last */
export function createPolicySet(title: string, limit: number): PolicySet {
  const objects = new Map<string, Holding>()
  const slices = new Map<string, Slice>()
  let derived: Derived | undefined

  function changed(): void {
    slices.clear()
    derived = undefined
  }

  function derive(): Derived {
    derived ??= deriveFrom(objects, title, limit)
    return derived
  }

  return {
    get: (object) => objects.get(object),
    put(object, holding) {
      objects.set(object, holding)
      changed()
    },
    delete(object) {
      if (objects.delete(object)) changed()
    },
    slice(mode, target) {
      const key = `${mode} ${target.action} ${target.resourceType} ${target.namespace} ${target.resourceId}`
      const known = slices.get(key)
      if (known !== undefined) return known
      if (slices.size >= rememberedTargets) slices.clear()
      const slice = toSlice(derive()[mode].filter(({ rule }) => canMatch(rule.scope, target)))
      slices.set(key, slice)
      return slice
    },
    broken: () => derive().broken,
    digest: () => derive().digest,
  }
}

interface Derived {
  readonly Enforce: readonly Member[]
  readonly Audit: readonly Member[]
  readonly broken: readonly string[]
  readonly digest: string
}

function deriveFrom(objects: ReadonlyMap<string, Holding>, title: string, limit: number): Derived {
  const sorted = [...objects].sort(([a], [b]) => (a < b ? -1 : 1))
  const of = (mode: Holding['mode']) => sorted.filter(([, holding]) => holding.mode === mode)
  const enforced = of('Enforce').flatMap(([, holding]) => holding.members)
  const audited = of('Audit').flatMap(([, holding]) => holding.members)
  const broken = of('Enforce').flatMap(([, holding]) => holding.broken ?? [])
  const excess = enforced.length > limit ? [`${title} has ${enforced.length} policies, more than the ${limit} that are judged`] : []
  return {
    Enforce: excess.length > 0 ? [] : enforced,
    Audit: audited.length > limit ? [] : audited,
    broken: [...excess, ...broken],
    digest: digest(of('Enforce').map(([object, holding]) => [object, holding.broken === undefined ? holding.fingerprint : null])),
  }
}

function toSlice(members: readonly Member[]): Slice {
  return {
    key: members.map(({ serial }) => serial).join(),
    members,
    readsNow: members.some(({ rule }) => rule.readsNow),
  }
}
