// Ends what a renewal has replaced, once its successor was delivered and no pod holds it any more. Never before: nothing of a running task
// may be without a credential. Holds up nothing, and what cannot be ended now dies of age.

import { isOpen, type Lease, mustLive } from '../../core/lease.ts'
import type { Failure, Task } from '../../core/observed.ts'
import type { KubeObject } from '../../kube/objects.ts'
import type { Writes } from '../../kube/patch.ts'
import type { StoreView } from '../../kube/store.ts'
import { type Duration, milliseconds, seconds } from '../../lib/instant.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Entropy } from '../../ports/entropy.ts'
import type { Log } from '../../ports/log.ts'
import type { FindProvider } from '../../ports/provider.ts'
import { createLanes } from './lanes.ts'
import { leaseStatus, leasesResource, placeOf, sourceOf } from './rows.ts'
import { type KeptSettings, underSettings } from './settings.ts'

export interface RetireDeps {
  readonly leases: Pick<StoreView<Lease>, 'get'>
  readonly tasks: Pick<StoreView<Task>, 'get'>
  readonly findProvider: FindProvider
  readonly settings: Pick<KeptSettings, 'of'>
  readonly writes: Pick<Writes, 'patchStatus'>
  readonly absorb: (object: KubeObject) => void
  readonly leads: () => boolean
  readonly clock: Clock
  readonly log: Pick<Log, 'info'>
  readonly namespace: string
  /** whether a pass has decided that it dies */
  readonly doomed: (handle: string) => boolean
}

/** When to come back, if there is anything to come back for. */
export type Again = { readonly tag: 'done' | 'retry' } | { readonly tag: 'later'; readonly delay: Duration }

export interface Retire {
  (handle: string): Promise<Again>
  /** its row is closed */
  forget(handle: string): void
}

export function createRetire(deps: RetireDeps): Retire {
  const { clock } = deps
  /** since when, by the monotonic clock, a delivery was known of here: after a start its time begins anew */
  const delivered = new Map<string, { readonly attempt: number; readonly since: number }>()

  async function retire(handle: string): Promise<Again> {
    const lease = deps.leases.get(`${deps.namespace}/${handle}`)
    const task = lease === undefined ? undefined : deps.tasks.get(lease.task.key)
    const retirement = deps.findProvider(lease?.provider.type ?? '', lease?.provider.kind ?? '')?.outside?.retirement
    if (lease === undefined || task === undefined || retirement === undefined || !deps.leads()) return { tag: 'done' }
    // what is not delivered, or is to die, is the business of others
    const attempt = task.record.credentials.find((c) => c.handle === handle)?.attempt
    if (attempt === undefined || !mustLive(lease, task, deps.doomed(handle), clock.now())) return { tag: 'done' }
    const now = clock.monotonic()
    const seen = delivered.get(handle)
    if (seen?.attempt !== attempt) delivered.set(handle, { attempt, since: now })
    const left = (seen?.attempt === attempt ? seen.since : now) + retirement.grace - now
    if (left > 0) return { tag: 'later', delay: milliseconds(left) }
    const ended = await underSettings(deps.settings.of(lease), (params) => retirement.retire(params, placeOf(lease), attempt))
    if (!ended.ok) return failed(lease, ended.failure)
    if (ended.value === undefined) return { tag: 'done' }
    // by the version that it was decided on: a renewal that noted something meanwhile must not lose it
    const next = leaseStatus(lease, { state: lease.state, reference: ended.value })
    const place = { resource: leasesResource, namespace: deps.namespace, name: handle }
    const written = deps.leads() ? await deps.writes.patchStatus(place, lease.resourceVersion, next) : undefined
    if (written?.ok !== true) return { tag: 'retry' }
    deps.absorb(written.value)
    return { tag: 'done' }
  }

  function failed(lease: Lease, { message }: Failure): Again {
    const { handle } = lease
    deps.log.info('what a renewal has replaced could not be ended; it is tried again', {
      handle,
      provider: sourceOf(lease).key,
      reason: message,
    })
    return { tag: 'retry' }
  }

  return Object.assign(retire, { forget: (handle: string) => void delivered.delete(handle) })
}

/** The same for all rows, by queues of their own. */
export interface Retirements {
  /** a row as it changes */
  follow(before: Lease | undefined, after: Lease | undefined): void
  look(lease: Lease): void
  start(): void
  stop(): Promise<void>
}

export function createRetirements(deps: RetireDeps & { readonly entropy: Entropy; readonly log: Log }): Retirements {
  const retire = createRetire(deps)
  const { clock, entropy, log } = deps
  const lanes = createLanes({ clock, entropy, log, backoff: { first: seconds(5), cap: seconds(300) } }, 1)
  const keyOf = ({ task, handle }: Lease): string => `${task.namespace}/${handle}`

  async function work(key: string): Promise<void> {
    const handle = key.slice(key.indexOf('/') + 1)
    const lease = deps.leases.get(`${deps.namespace}/${handle}`)
    if (lease === undefined) return
    const queue = lanes.of(lease.provider.uid)
    const again = await retire(handle)
    if (again.tag === 'retry') return queue.retry(key)
    queue.forget(key)
    if (again.tag === 'later') queue.addAfter(key, again.delay)
  }

  const retirements: Retirements = {
    follow(before, after) {
      if (after === undefined || !isOpen(after)) retire.forget((after ?? before)?.handle ?? '')
      else if (before?.expiresAt !== after.expiresAt) retirements.look(after)
    },
    look(lease) {
      const { retirement } = deps.findProvider(lease.provider.type, lease.provider.kind)?.outside ?? {}
      if (retirement !== undefined && lease.state === 'Issued') lanes.of(lease.provider.uid).add(keyOf(lease))
    },
    start: () => lanes.start(work),
    stop: () => lanes.stop(),
  }
  return retirements
}
