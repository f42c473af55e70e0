// Works on one row at a time: decides with the core what is owed to it, revokes at the source, and writes down what became of it.
// There is no giving up: what fails is tried again until it is dead, or an administrator gives it up.

import { isExpiring, type Lease, type Owner, owed } from '../../core/lease.ts'
import type { Failure, Task } from '../../core/observed.ts'
import { describeError, isConflict, isNotFound } from '../../kube/errors.ts'
import type { KubeObject } from '../../kube/objects.ts'
import type { Writes } from '../../kube/patch.ts'
import type { StoreView } from '../../kube/store.ts'
import { type Duration, endless, type Instant, milliseconds, plus } from '../../lib/instant.ts'
import { fail, ok, type Result } from '../../lib/result.ts'
import { unreachable } from '../../lib/unreachable.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Log } from '../../ports/log.ts'
import type { FindProvider, Unrevoked } from '../../ports/provider.ts'
import type { Span, Tracer } from '../../ports/tracer.ts'
import type { Doubt } from '../views.ts'
import type { Health } from './health.ts'
import type { KeptValues } from './kept.ts'
import { type LeaseStatus, leaseStatus, leasesResource, placeOf, sourceOf } from './rows.ts'
import { type KeptSettings, underSettings } from './settings.ts'

export interface CollectDeps {
  readonly leases: StoreView<Lease>
  readonly tasks: StoreView<Task>
  readonly doubt: Pick<Doubt, 'task'>
  readonly findProvider: FindProvider
  readonly settings: KeptSettings
  readonly values: Pick<KeptValues, 'given'>
  readonly health: Health
  readonly writes: Writes
  readonly absorb: (object: KubeObject) => void
  readonly leads: () => boolean
  readonly clock: Clock
  readonly log: Pick<Log, 'warn'>
  readonly tracer: Pick<Tracer, 'span'>
  readonly namespace: string
  /** whether a pass has decided that it dies */
  readonly doomed: (handle: string) => boolean
  /** whether tasks of this namespace are served: one that was taken off the list has nobody else who would end what it has */
  readonly serves: (namespace: string) => boolean
  /** whether this task was seen to go */
  readonly seenToGo: (uid: string) => boolean
  readonly tell: Told
}

/** What is told of a row as it changes. */
export interface Told {
  dying(lease: Lease): void
  failed(lease: Lease, failure: Failure): void
  /** nobody can end it: it dies by itself, as the message says */
  expiring(lease: Lease, message: string): void
  dead(lease: Lease, ending: Ending): void
  givenUp(lease: Lease, reason: string): void
}

/** How it came to be dead. `remains`: what was given with it existed before, and works on. `expired`: nobody could end it sooner. */
export type Ending = 'revoked' | 'remains' | 'expired'

/** What the queue is to do with the row next. */
export type After =
  | { readonly tag: 'done' }
  | { readonly tag: 'retry' }
  | { readonly tag: 'later'; readonly delay: Duration }
  /** closed, and not before that long may its rest be removed at the source */
  | { readonly tag: 'clean'; readonly delay: Duration }

export type Collect = (handle: string) => Promise<After>

/** Said of what was alive by all that was known, and is not at its source. */
export const endedBy = ({ credential }: Lease): string => `credential \`${credential}\`: somebody else ended it at its source`

/** Said of what was given and not made. */
export const valueRemains = 'the value that was given existed before the task and works until it is changed at its source'

const done: After = { tag: 'done' }
const retry: After = { tag: 'retry' }

export function createCollect(deps: CollectDeps): Collect {
  const { leases, clock, tell } = deps
  const keyOf = (handle: string): string => `${deps.namespace}/${handle}`

  /** A store's silence about a task proves nothing, and another UID may be older as well as newer. */
  function owner({ task }: Lease): Owner {
    const shown = deps.tasks.get(task.key)
    if (shown?.uid === task.uid) return { state: 'present', task: shown }
    return deps.seenToGo(task.uid) || !deps.serves(task.namespace) ? { state: 'gone' } : { state: 'unknown' }
  }

  async function ask({ task }: Lease): Promise<Owner['state']> {
    const live = await deps.doubt.task(task.namespace, task.name)
    if (live.state === 'unknown') return 'unknown'
    return live.state === 'present' && live.uid === task.uid ? 'present' : 'gone'
  }

  async function write(lease: Lease, next: LeaseStatus): Promise<boolean> {
    if (!deps.leads()) return false
    const place = { resource: leasesResource, namespace: deps.namespace, name: lease.handle }
    const written = await deps.writes.patchStatus(place, lease.resourceVersion, leaseStatus(lease, next), { priority: 'end' })
    if (written.ok) deps.absorb(written.value)
    else if (!isConflict(written.failure) && !isNotFound(written.failure))
      deps.log.warn('a row of the ledger could not be written', { handle: lease.handle, reason: describeError(written.failure) })
    return written.ok
  }

  async function kill(lease: Lease): Promise<Result<Ending, Unrevoked>> {
    const { type, kind } = lease.provider
    const provider = deps.findProvider(type, kind)
    if (provider?.outside === undefined)
      return fail({ reason: 'RevocationUnconfirmed', message: `no provider of type \`${type}\` is known to this version` })
    return underSettings<Ending, Unrevoked>(deps.settings.of(lease), async (params) => {
      const { revocation, bound } = provider.promises(params)
      const reservation = { lease: placeOf(lease), ...deps.values.given(provider, params, lease.handle) }
      const ask = async (): Promise<Result<Unrevoked | undefined, Unrevoked>> => {
        const result = await provider.revoke(params, reservation)
        // its source has answered, and all is well
        return result.ok || result.failure.until === undefined ? result : ok(result.failure)
      }
      // where nothing can be revoked no source is asked, and so nothing is learned of its health
      const killed = revocation === 'ExpireOnly' && bound < endless ? await ask() : await deps.health.run(sourceOf(lease), ask)
      if (!killed.ok) return killed
      if (killed.value !== undefined) return fail(killed.value)
      return ok(bound >= endless ? 'remains' : revocation === 'ExpireOnly' ? 'expired' : 'revoked')
    })
  }

  function cleaningDelay({ provider, effectBy }: Lease): Duration {
    const settling = deps.findProvider(provider.type, provider.kind)?.outside?.settling ?? milliseconds(0)
    return milliseconds(Math.max(0, plus(effectBy, settling) - clock.now()))
  }

  async function revoke(lease: Lease): Promise<After> {
    tell.dying(lease)
    const { task, credential, attempt } = lease
    const attributes = { namespace: task.namespace, task: task.name, taskUid: task.uid, credential, provider: sourceOf(lease).key, attempt }
    const work = async (span: Span) => {
      const result = await kill(lease)
      if (!result.ok && result.failure.until === undefined) span.failed(result.failure.reason)
      return result
    }
    const killed = await deps.tracer.span('lease.revoke', attributes, work, 'root')
    if (killed.ok) {
      const now = clock.now()
      const closed: LeaseStatus =
        killed.value === 'expired'
          ? { state: 'Expired', closedAt: now }
          : { state: 'Revoked', revokedAt: now, closedAt: now, ...lastWords(lease, killed.value) }
      if (!(await write(lease, closed))) return retry
      tell.dead(lease, killed.value)
      return { tag: 'clean', delay: cleaningDelay(lease) }
    }
    const { reason, message, until } = killed.failure
    if (until !== undefined) {
      if (!isExpiring(lease) || lease.message !== message) {
        if (!(await write(lease, { state: 'Revoking', reason: 'ExpiresAt', message, expiresAt: until }))) return retry
        tell.expiring(lease, message)
      }
      return later(until)
    }
    tell.failed(lease, killed.failure)
    if (lease.state !== 'Revoking' || lease.message !== message) await write(lease, { state: 'Revoking', reason, message })
    return retry
  }

  function lastWords(lease: Lease, ending: Ending): Pick<LeaseStatus, 'reason' | 'message'> {
    if (lease.foundDeadAt !== undefined) return { reason: 'RevokedExternally', message: endedBy(lease) }
    return ending === 'remains' ? { reason: 'ValueRemains', message: valueRemains } : {}
  }

  /** The row that comes back from it is revoked. */
  async function announce(lease: Lease): Promise<After> {
    const message = 'it expired, or is ahead of the record of its task'
    return (await write(lease, { state: 'Revoking', reason: 'RevocationUnconfirmed', message })) ? done : retry
  }

  async function giveUp(lease: Lease, reason: string): Promise<After> {
    const message = `given up by an administrator: ${reason}`
    if (!(await write(lease, { state: 'Irrevocable', closedAt: clock.now(), reason: 'Irrevocable', message }))) return retry
    tell.givenUp(lease, message)
    return { tag: 'clean', delay: cleaningDelay(lease) }
  }

  async function forget(lease: Lease): Promise<After> {
    const place = { resource: leasesResource, namespace: deps.namespace, name: lease.handle }
    const removed = await deps.writes.remove(place, { uid: lease.uid, resourceVersion: lease.resourceVersion })
    return removed.ok || isNotFound(removed.failure) ? done : retry
  }

  function later(until: Instant | undefined): After {
    return until === undefined ? done : { tag: 'later', delay: milliseconds(Math.max(1, until - clock.now())) }
  }

  async function act(lease: Lease, owner: Owner): Promise<After> {
    const debt = owed(lease, owner, deps.doomed(lease.handle), clock.now())
    switch (debt.do) {
      case 'wait':
        if (debt.known !== undefined && !(await write(lease, { state: 'Issued', ...debt.known }))) return retry
        return later(debt.until)
      case 'revoke':
        return debt.announced === true ? announce(lease) : revoke(lease)
      case 'giveUp':
        return giveUp(lease, debt.reason)
      case 'forget':
        return forget(lease)
      case 'ask': {
        const found = await ask(lease)
        // it is there, so the store is behind and will say so; nobody answered: tried again
        return found === 'gone' ? act(lease, { state: 'gone' }) : retry
      }
      default:
        return unreachable(debt)
    }
  }

  return async (handle) => {
    const lease = leases.get(keyOf(handle))
    if (lease === undefined || !deps.leads()) return done
    return act(lease, owner(lease))
  }
}
