// Removes what is left of the dead at their sources, after the time in which something may yet come to be there. It can fail for as long as it
// likes: nothing is alive by it, and no revocation waits for it.

import { isOpen, type Lease } from '../../core/lease.ts'
import { splitKey, type TaskKey } from '../../core/names.ts'
import type { StoreView } from '../../kube/store.ts'
import { type Duration, milliseconds, seconds } from '../../lib/instant.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Entropy } from '../../ports/entropy.ts'
import type { Log } from '../../ports/log.ts'
import type { FindProvider } from '../../ports/provider.ts'
import type { HandedKeeping } from './handed.ts'
import type { KeptValues } from './kept.ts'
import { createLanes } from './lanes.ts'
import { placeOf, sourceOf, workKey } from './rows.ts'
import { type KeptSettings, underSettings } from './settings.ts'

export interface CleaningDeps {
  readonly leases: StoreView<Lease>
  readonly findProvider: FindProvider
  readonly settings: Pick<KeptSettings, 'of'>
  readonly values: Pick<KeptValues, 'forgotten'>
  readonly handed: Pick<HandedKeeping, 'cleaned'>
  readonly leads: () => boolean
  readonly clock: Clock
  readonly entropy: Entropy
  readonly log: Log
  /** the operator's own */
  readonly namespace: string
}

export interface Cleaning {
  after(lease: Lease, delay: Duration): void
  /** A sweep has seen it at its source, although its row is closed. */
  found(lease: Lease): void
  start(): void
  stop(): Promise<void>
}

export function createCleaning(deps: CleaningDeps): Cleaning {
  const { leases, clock, entropy, log } = deps
  const lanes = createLanes({ clock, entropy, log, backoff: { first: seconds(5), cap: seconds(300) } }, 1)
  /** closed by their rows, and seen at their source */
  const seen = new Set<string>()

  async function clean(key: string): Promise<void> {
    const lease = leases.get(`${deps.namespace}/${splitKey(key as TaskKey).name}`)
    if (lease === undefined || isOpen(lease) || !deps.leads()) return
    const queue = lanes.of(lease.provider.uid)
    const implementation = deps.findProvider(lease.provider.type, lease.provider.kind)
    const outside = implementation?.outside
    if (!(await deps.values.forgotten(lease))) return queue.retry(key)
    if (outside === undefined || lease.state === 'Irrevocable') {
      deps.handed.cleaned(lease)
      return queue.forget(key)
    }
    const place = placeOf(lease)
    const cleaned = await underSettings(deps.settings.of(lease), async (params) => {
      // it may have come back to life, with a server that was restored from a backup
      const killed = seen.has(lease.handle) ? await implementation?.revoke(params, { lease: place }) : undefined
      return killed?.ok === false ? killed : outside.clean(params, place)
    })
    if (cleaned.ok) {
      seen.delete(lease.handle)
      deps.handed.cleaned(lease)
      return queue.forget(key)
    }
    log.warn('what is left of a dead credential could not be removed; it is tried again', {
      handle: lease.handle,
      provider: sourceOf(lease).key,
      reason: cleaned.failure.message,
    })
    queue.retry(key)
  }

  const cleaning: Cleaning = {
    after: (lease, delay) => lanes.of(lease.provider.uid).addAfter(workKey(lease), delay),
    found(lease) {
      seen.add(lease.handle)
      cleaning.after(lease, milliseconds(Math.max(0, lease.effectBy + 5_000 - clock.now())))
    },
    start: () => lanes.start(clean),
    stop: () => lanes.stop(),
  }
  return cleaning
}
