// Why the leader issues nothing at all, for whoever watches it. What tasks are told of it is decided in the core.

import { type Hold, holds } from '../telemetry/snapshot.ts'

export interface HeldDeps {
  readonly leads: () => boolean
  readonly draining: () => boolean
  readonly stale: () => boolean
  readonly fencesMissing: () => boolean
}

export function createHeld({ leads, draining, stale, fencesMissing }: HeldDeps): () => readonly Hold[] {
  const asked: Readonly<Record<Hold, () => boolean>> = { Draining: draining, StaleView: stale, FencesMissing: fencesMissing }
  return () => (leads() ? holds.filter((reason) => asked[reason]()) : [])
}
