// How the answers of the cluster's policies (C) and of the namespace's (N) become one. Pure; the rules stand here and nowhere else.
// A namespace's permit never opens a cluster provider: the two sets are judged apart and never merged.

import type { DecidingPolicy, Outcome, ProviderFacts } from '../ports/authorizer.ts'

/** What one set says of one request. `permits` is empty where a forbid matched: Cedar does not name them then. */
export interface Opinion {
  readonly permits: readonly DecidingPolicy[]
  readonly forbids: readonly DecidingPolicy[]
  readonly failed: readonly DecidingPolicy[]
  /** why those failed, and anything else that kept the set from being judged */
  readonly errors: readonly string[]
}

export const silent: Opinion = { permits: [], forbids: [], failed: [], errors: [] }

export interface Ruling {
  readonly outcome: Outcome
  readonly policies: readonly DecidingPolicy[]
  readonly errors: readonly string[]
  /** whether it would be allowed if nothing were broken */
  readonly permitted: boolean
}

/**
 * A forbid that matched stands, whatever else fails. An error denies: Cedar skips a policy that fails, and it might have been a forbid.
 * A policy object that never was valid denies for the same reason. Only then it matters what permits.
 */
export function rule(kind: ProviderFacts['kind'], cluster: Opinion, namespace: Opinion, broken: readonly string[]): Ruling {
  const forbids = [...cluster.forbids, ...namespace.forbids]
  const errors = [...cluster.errors, ...namespace.errors]
  if (forbids.length > 0) return { outcome: 'forbid', policies: sorted(forbids), errors, permitted: false }
  if (errors.length > 0) return { outcome: 'error', policies: sorted([...cluster.failed, ...namespace.failed]), errors, permitted: false }
  const permits = kind === 'ClusterCredentialProvider' ? cluster.permits : [...cluster.permits, ...namespace.permits]
  const permitted = permits.length > 0
  if (broken.length > 0) return { outcome: 'invalidPolicy', policies: [], errors: broken, permitted }
  return { outcome: permitted ? 'allow' : 'noPermit', policies: sorted(permits), errors: [], permitted }
}

/** What both say together, as if they were one set. */
export function together(a: Opinion, b: Opinion): Opinion {
  return {
    permits: [...a.permits, ...b.permits],
    forbids: [...a.forbids, ...b.forbids],
    failed: [...a.failed, ...b.failed],
    errors: [...a.errors, ...b.errors],
  }
}

function sorted(policies: readonly DecidingPolicy[]): readonly DecidingPolicy[] {
  return [...policies].sort((a, b) => (a.id < b.id ? -1 : 1))
}
