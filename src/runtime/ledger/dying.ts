// What this process knows of rows that are to die: since when, which of them fail, who waits for their end; and what it tells of them.
// All of it is lost with the process: that a row dies follows from its task's record again.

import type { Lease } from '../../core/lease.ts'
import type { Task } from '../../core/observed.ts'
import type { StoreView } from '../../kube/store.ts'
import { formatTime, milliseconds } from '../../lib/instant.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Journal, Subject } from '../../ports/journal.ts'
import type { Log } from '../../ports/log.ts'
import type { Meter } from '../../ports/meter.ts'
import { endedBy, type Told, valueRemains } from './collect.ts'
import { sourceOf } from './rows.ts'

export interface DyingDeps {
  readonly tasks: StoreView<Task>
  readonly clock: Clock
  readonly journal: Journal
  readonly log: Pick<Log, 'warn'>
  readonly meter: Pick<Meter, 'revoked' | 'remained' | 'lost'>
}

export interface Dying extends Told {
  /** by the monotonic clock, milliseconds; `undefined` where nobody has decided that it dies */
  since(handle: string): number | undefined
  /** whether something of this provider could not be revoked, and nothing has changed since */
  failing(provider: string): boolean
  /** something has changed */
  hope(provider: string): void
  /** Resolves when the row was closed, or after so many milliseconds. */
  end(handle: string, patience: number): Promise<void>
  /** somebody else ended it at its source */
  foundDead(lease: Lease): void
  /** its row is closed, whoever closed it */
  wake(handle: string): void
}

export function createDying({ tasks, clock, journal, log, meter }: DyingDeps): Dying {
  const doomed = new Map<string, number>()
  const failing = new Map<string, Set<string>>()
  const warned = new Map<string, string>()
  const waiting = new Map<string, Set<() => void>>()

  const subjectOf = ({ task, agent, action }: Lease): Subject => ({
    task: task.key,
    taskUid: task.uid,
    agent,
    action,
    requestedBy: tasks.get(task.key)?.spec.requestedBy?.username,
  })

  function closed(
    lease: Lease,
    reason: 'AllRevoked' | 'ExpiresAt' | 'ValueRemains' | 'Irrevocable' | 'RevokedExternally',
    message: string,
  ): void {
    const { handle, credential, attempt, expiresAt } = lease
    doomed.delete(handle)
    warned.delete(handle)
    failing.get(sourceOf(lease).key)?.delete(handle)
    wake(handle)
    const expiry = expiresAt === undefined ? {} : { expirationTime: formatTime(expiresAt) }
    const subject = subjectOf(lease)
    journal.audit({ kind: 'revocation', subject, credential, provider: sourceOf(lease).key, reason, message, attempt, ...expiry })
  }

  function wake(handle: string): void {
    for (const resolve of waiting.get(handle) ?? []) resolve()
    waiting.delete(handle)
  }

  return {
    since: (handle) => doomed.get(handle),
    failing: (provider) => (failing.get(provider)?.size ?? 0) > 0,
    hope: (provider) => void failing.delete(provider),
    wake,
    end(handle, patience) {
      const { promise, resolve } = Promise.withResolvers<void>()
      const others = waiting.get(handle) ?? new Set()
      waiting.set(handle, others.add(resolve))
      const timer = setTimeout(resolve, patience)
      return promise.finally(() => {
        clearTimeout(timer)
        others.delete(resolve)
        if (others.size === 0 && waiting.get(handle) === others) waiting.delete(handle)
      })
    },
    dying(lease) {
      if (!doomed.has(lease.handle)) doomed.set(lease.handle, clock.monotonic())
    },
    failed(lease, { reason, message }) {
      const { handle, credential } = lease
      const provider = sourceOf(lease).key
      failing.set(provider, (failing.get(provider) ?? new Set()).add(handle))
      if (warned.get(handle) === message) return
      warned.set(handle, message)
      const note = `credential \`${credential}\`: ${message}; it is tried until it is dead`
      journal.event({ subject: subjectOf(lease), type: 'Warning', reason, action: 'Revoke', note })
      log.warn('a credential could not be revoked; it is tried again', { handle, provider, reason: message })
    },
    foundDead(lease) {
      const { handle } = lease
      const provider = sourceOf(lease).key
      meter.lost(provider)
      journal.event({ subject: subjectOf(lease), type: 'Warning', reason: 'RevokedExternally', action: 'Inspect', note: endedBy(lease) })
      log.warn('a credential of a live task was ended at its source by somebody else', { handle, provider })
    },
    expiring(lease, message) {
      const { credential, attempt } = lease
      // who waits for its end is not kept waiting
      wake(lease.handle)
      journal.audit({
        kind: 'revocation',
        subject: subjectOf(lease),
        credential,
        provider: sourceOf(lease).key,
        reason: 'ExpiresAt',
        message,
        attempt,
      })
    },
    dead(lease, ending) {
      if (lease.foundDeadAt !== undefined) return closed(lease, 'RevokedExternally', endedBy(lease))
      if (ending === 'remains') {
        meter.remained(lease.provider.name)
        return closed(lease, 'ValueRemains', valueRemains)
      }
      // the time after the end of its task was no revocation's
      if (ending === 'expired') return closed(lease, 'ExpiresAt', 'it has died by itself')
      const task = tasks.get(lease.task.key)
      const ended = task?.uid === lease.task.uid ? task.record.completedAt : undefined
      const took = ended === undefined ? clock.monotonic() - (doomed.get(lease.handle) ?? clock.monotonic()) : clock.now() - ended
      meter.revoked(sourceOf(lease).key, milliseconds(Math.max(0, took)))
      closed(lease, 'AllRevoked', '')
    },
    givenUp: (lease, message) => closed(lease, 'Irrevocable', message),
  }
}
