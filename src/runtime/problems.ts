// What keeps a replica from being ready or alive, for the probes.

import { seconds } from '../lib/instant.ts'
import type { PolicyEngine } from '../policy/engine.ts'
import type { Watching } from './watching.ts'

/** By name; empty when all is well. */
export function problemsOf(
  watching: Pick<Watching, 'unsynced' | 'stale'>,
  engine: Pick<PolicyEngine, 'usable'>,
): Readonly<Record<string, string>> {
  const unsynced = watching.unsynced()
  const stale = watching.stale(seconds(600))
  return {
    ...(unsynced === undefined ? {} : { sync: `${unsynced} are not listed yet` }),
    ...(stale === undefined || unsynced !== undefined ? {} : { progress: `${stale} made no progress for ten minutes` }),
    ...(engine.usable() ? {} : { policy: 'the policy engine is damaged' }),
  }
}
