// Why nothing may be issued at all: told to every pass, and to whoever watches the operator.

import type { Failure } from '../core/observed.ts'
import { type Hold, holds } from '../telemetry/snapshot.ts'
import type { Fences } from './fences.ts'

export interface HeldDeps {
  readonly leads: () => boolean
  readonly draining: () => boolean
  /** the kind whose view made no progress for too long */
  readonly stale: () => string | undefined
  readonly fences: Pick<Fences, 'hold'>
}

export interface Held {
  /** Told to passes. A drain is not: it is more than a hold, and is decided in the core. */
  hold(): Failure | undefined
  /** What keeps the leader; another replica issues nothing anyhow. */
  held(): readonly Hold[]
}

export function createHeld({ leads, draining, stale, fences }: HeldDeps): Held {
  const asked: Readonly<Record<Hold, () => boolean>> = {
    Draining: draining,
    StaleView: () => stale() !== undefined,
    FencesMissing: () => fences.hold() !== undefined,
  }
  return {
    hold() {
      if (!leads()) return { reason: 'StaleView', message: 'this replica does not lead' }
      const kind = stale()
      if (kind !== undefined) return { reason: 'StaleView', message: `the view of \`${kind}\` made no progress for too long` }
      return fences.hold()
    },
    held: () => (leads() ? holds.filter((reason) => asked[reason]()) : []),
  }
}
