// Writes the row of one credential before anything is asked of its source. Refuses where too much of a namespace at a provider is owed.

import { effectTime, handleOf, type Lease } from '../../core/lease.ts'
import type { Failure, Task } from '../../core/observed.ts'
import type { IssueOrder } from '../../core/plan.ts'
import { describeError, isAlreadyExists } from '../../kube/errors.ts'
import type { KubeObject } from '../../kube/objects.ts'
import type { Writes } from '../../kube/patch.ts'
import { milliseconds, plus, wholeSecond } from '../../lib/instant.ts'
import { fail, ok, type Result } from '../../lib/result.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Lease as Place } from '../../ports/provider.ts'
import type { ProviderObject } from '../objects/kinds.ts'
import { type Intent, leaseObject, leasesResource } from './rows.ts'
import type { KeptSettings } from './settings.ts'

export interface IntendDeps {
  readonly writes: Writes
  readonly settings: KeptSettings
  readonly clock: Clock
  readonly leads: () => boolean
  readonly absorb: (object: KubeObject) => void
  /** the operator's own */
  readonly namespace: string
  /** what all handles of this installation begin with */
  readonly prefix: string
  readonly full: Full
}

/** A row that stands, and until when something may be sent under it. */
export interface Intended extends Place {
  /** by the monotonic clock */
  readonly deadline: number
}

/** Why no further row of this namespace may be written at this provider, before anything else is done for it. */
export type Full = (task: Task, order: IssueOrder) => Failure | undefined

export const createFull =
  (limit: number, openAt: (namespace: string, provider: string) => number): Full =>
  (task, order) =>
    openAt(task.namespace, order.provider.uid) < limit
      ? undefined
      : {
          reason: 'LedgerFull',
          message: `credential \`${order.name}\`: ${limit} credentials of this namespace at provider \`${order.provider.name}\` are not known to be dead; end tasks, or see why their revocation is not confirmed`,
        }

export type Intend = (task: Task, order: IssueOrder, attempt: number, object: ProviderObject) => Promise<Result<Intended, Failure>>

/** What is sent shortly before `effectBy` must have been answered by then. */
const margin = 5_000

export function createIntend(deps: IntendDeps): Intend {
  const { clock, writes } = deps

  return async (task, order, attempt, object) => {
    const where = `credential \`${order.name}\``
    // asked again: others of this namespace have begun since
    const full = deps.full(task, order)
    if (full !== undefined) return fail(full)
    const keeping = await deps.settings.keep(object)
    if (!keeping.ok) return keeping
    const now = clock.now()
    const effectBy = wholeSecond(plus(now, effectTime))
    const deadline = clock.monotonic() + (effectBy - now) - margin
    const intent: Intent = {
      handle: handleOf(deps.prefix, task.uid, order.name, attempt),
      task: { key: task.key, namespace: task.namespace, name: task.name, uid: task.uid },
      agent: task.spec.agent,
      action: task.spec.action,
      credential: order.name,
      attempt,
      provider: order.provider satisfies Lease['provider'],
      effectBy,
    }
    if (!deps.leads()) return fail({ reason: 'StaleView', message: 'this replica does not lead' })
    const place = { resource: leasesResource, namespace: deps.namespace, name: intent.handle }
    const written = await writes.create(place, leaseObject(intent, deps.namespace, deps.prefix), { timeout: milliseconds(10_000) })
    if (written.ok) {
      deps.absorb(written.value)
      return ok({ handle: intent.handle, effectBy, deadline })
    }
    const why = isAlreadyExists(written.failure)
      ? 'its row in the ledger exists already, so this attempt is spent'
      : `its row in the ledger could not be written: ${describeError(written.failure)}`
    return fail({ reason: 'IssueFailed', message: `${where}: ${why}` })
  }
}
